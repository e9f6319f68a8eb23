{{- define "kelery.valkey.config" -}}
{{- $own := dict "appendonly" "yes" "appendfsync" "always" "maxmemory-policy" "noeviction" "save" "\"\"" -}}
bind * -::*
port 6379
dir /data
include /tmp/password.conf
{{- range $directive, $value := mergeOverwrite $own .Values.redis.config }}
{{ $directive }} {{ $value }}
{{- end }}
{{ end -}}
