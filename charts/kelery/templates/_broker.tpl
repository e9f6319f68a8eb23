{{/* The Redis of the ledger and the queues, and its settings in the pods. */}}

{{/* "true" if the release uses the bundled Valkey. */}}
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

{{/* The generated password: the existing one, else a new one. The same in all templates of one rendering. */}}
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

{{/* "true" if this release creates the Secret with the URL. It does not if the URL, or the password in it, is in a Secret of the user. */}}
{{- define "kelery.broker.makesSecret" -}}
{{- if .Values.broker.existingSecret.name -}}
{{- else if .Values.broker.url -}}true
{{- else if not .Values.redis.auth.existingSecret.name -}}true
{{- end -}}
{{- end -}}

{{- define "kelery.broker.url" -}}
{{- .Values.broker.url | default (printf "redis://:%s@%s" (include "kelery.valkey.password" .) (include "kelery.valkey.address" .)) -}}
{{- end -}}

{{/* Variables with the URL, as a list: {root, names}. The kubelet inserts a password from the user's Secret. */}}
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

{{/* Settings that all components must share. */}}
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

{{/* Restarts the pods when the Secret of this release changes. */}}
{{- define "kelery.broker.checksums" -}}
{{- if include "kelery.broker.makesSecret" . -}}
checksum/broker: {{ include "kelery.broker.url" . | sha256sum }}
{{- else -}}
{}
{{- end -}}
{{- end -}}
