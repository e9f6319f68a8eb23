{{/* The value of a directive in Valkey's syntax. Helm reads numbers as floating point, and an unquoted `yes` as true. */}}
{{- define "kelery.valkey.value" -}}
{{- if kindIs "bool" . -}}
{{- ternary "yes" "no" . -}}
{{- else if and (kindIs "float64" .) (eq (floor .) (float64 .)) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- define "kelery.valkey.config" -}}
{{- $own := dict "appendonly" "yes" "appendfsync" "always" "maxmemory-policy" "noeviction" "save" "\"\"" -}}
bind * -::*
port 6379
dir /data
include /tmp/password.conf
{{- range $directive, $value := mergeOverwrite $own .Values.redis.config }}
{{ $directive }} {{ include "kelery.valkey.value" $value }}
{{- end }}
{{ end -}}
