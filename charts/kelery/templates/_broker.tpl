{{/* Where ledger and queues are, and how the pods learn of it. */}}

{{/* "true" if the Valkey of this chart is used. */}}
{{- define "kelery.bundled" -}}
{{- if and .Values.redis.enabled (not .Values.broker.url) (not .Values.broker.existingSecret.name) -}}true{{- end -}}
{{- end -}}

{{- define "kelery.valkey.name" -}}
{{- printf "%s-valkey" (include "kelery.fullname" .) -}}
{{- end -}}

{{/* The Secret with Valkey's password, as {name, key}. */}}
{{- define "kelery.valkey.secret" -}}
{{- with .Values.redis.auth.existingSecret -}}
name: {{ .name | default (include "kelery.valkey.name" $) }}
key: {{ ternary .key "password" (not (empty .name)) }}
{{- end -}}
{{- end -}}

{{/* The password that this release makes: the one that is there, else a new one; the same wherever it is asked for in one rendering. */}}
{{- define "kelery.valkey.password" -}}
{{- if not (hasKey .Values "_valkeyPassword") -}}
{{- $there := lookup "v1" "Secret" .Release.Namespace (include "kelery.valkey.name" .) -}}
{{- $old := get (get ($there | default dict) "data" | default dict) "password" | default "" -}}
{{- $_ := set .Values "_valkeyPassword" (ternary ($old | b64dec) (randAlphaNum 32) (ne $old "")) -}}
{{- end -}}
{{- get .Values "_valkeyPassword" -}}
{{- end -}}

{{- define "kelery.valkey.address" -}}
{{- printf "%s:6379/%d" (include "kelery.valkey.name" .) (int .Values.broker.db) -}}
{{- end -}}

{{/* "true" if this release makes the Secret with the URL: not if it has only a part of it, or it is the user's own. */}}
{{- define "kelery.broker.makesSecret" -}}
{{- if .Values.broker.existingSecret.name -}}
{{- else if .Values.broker.url -}}true
{{- else if not .Values.redis.auth.existingSecret.name -}}true
{{- end -}}
{{- end -}}

{{- define "kelery.broker.url" -}}
{{- .Values.broker.url | default (printf "redis://:%s@%s" (include "kelery.valkey.password" .) (include "kelery.valkey.address" .)) -}}
{{- end -}}

{{/* Variables that hold the URL, as a list: {root, names}. The password of a Secret of the user's is put in by the kubelet. */}}
{{- define "kelery.broker.env" -}}
{{- $root := .root -}}
{{- $existing := $root.Values.broker.existingSecret -}}
{{- if or $existing.name (include "kelery.broker.makesSecret" $root) }}
{{- $name := $existing.name | default (printf "%s-broker" (include "kelery.fullname" $root)) }}
{{- $key := ternary $existing.key "url" (not (empty $existing.name)) }}
{{- range .names }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $name }}
      key: {{ $key }}
{{- end }}
{{- else }}
- name: KELERY_VALKEY_PASSWORD
  valueFrom:
    secretKeyRef:
      {{- include "kelery.valkey.secret" $root | nindent 6 }}
{{- range .names }}
- name: {{ . }}
  value: {{ printf "redis://:$(KELERY_VALKEY_PASSWORD)@%s" (include "kelery.valkey.address" $root) | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What all components must agree on. */}}
{{- define "kelery.ledger.env" -}}
- name: KELERY_PREFIX
  value: {{ .Values.prefix | quote }}
- name: KELERY_LEASE_SECONDS
  value: {{ .Values.leaseSeconds | quote }}
{{- end -}}

{{- define "kelery.controlPlane.env" -}}
{{- include "kelery.broker.env" (dict "root" . "names" (list "KELERY_REDIS_URL")) }}
{{ include "kelery.ledger.env" . }}
- name: KELERY_DEFAULT_QUEUE
  value: {{ .Values.defaultQueue | quote }}
{{- with .Values.brokerKeyPrefix }}
- name: KELERY_BROKER_KEY_PREFIX
  value: {{ . | quote }}
{{- end }}
- name: KELERY_LOG_FORMAT
  value: {{ .Values.logFormat }}
{{- end -}}

{{/* Pods begin anew when the Secret that this release makes has changed. */}}
{{- define "kelery.broker.checksums" -}}
{{- if include "kelery.broker.makesSecret" . -}}
checksum/broker: {{ include "kelery.broker.url" . | sha256sum }}
{{- else -}}
{}
{{- end -}}
{{- end -}}
