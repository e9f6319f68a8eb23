{{- define "kelery.gateway.env" -}}
- name: KELERY_API_ADDR
  value: {{ include "kelery.listenAddress" (dict "root" . "port" 8000) | quote }}
- name: KELERY_API_METRICS_ADDR
  value: {{ include "kelery.listenAddress" (dict "root" . "port" 8001) | quote }}
- name: KELERY_AUTH
  value: {{ .Values.gateway.auth }}
{{- if eq .Values.gateway.auth "none" }}
- name: KELERY_AUTH_NONE_ANYWHERE
  value: "true"
{{- end }}
- name: KELERY_API_NAMESPACE
  value: {{ include "kelery.homeNamespace" . }}
- name: KELERY_START_TASK
  value: {{ .Values.gateway.startTask | quote }}
- name: KELERY_START_KEY
  value: {{ .Values.gateway.startKey | quote }}
- name: KELERY_API_RETAIN_SECONDS
  value: {{ .Values.gateway.retainSeconds | int64 | quote }}
{{- end -}}
