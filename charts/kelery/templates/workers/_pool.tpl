{{/* The values of a pool: {root, name}. They override workerDefaults: maps are merged, lists replaced. */}}
{{- define "kelery.pool" -}}
{{- $own := get .root.Values.workers .name | default dict -}}
{{- mergeOverwrite (deepCopy .root.Values.workerDefaults) $own | toYaml -}}
{{- end -}}

{{/* "true" if any pool is enabled. */}}
{{- define "kelery.pools" -}}
{{- $names := list -}}
{{- range $name, $_ := .Values.workers -}}
{{- if (include "kelery.pool" (dict "root" $ "name" $name) | fromYaml).enabled }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- if $names }}true{{ end -}}
{{- end -}}

{{- define "kelery.pool.name" -}}
{{- printf "%s-worker-%s" (include "kelery.fullname" .root) .name -}}
{{- end -}}

{{/* The worker's command. A user's image does not have `kelery worker`, so its flags are passed to Celery itself. */}}
{{- define "kelery.pool.command" -}}
{{- $flags := list "-n" "kelery@%h" "-l" .logLevel "-c" (.concurrency | toString) -}}
{{- with .queues }}{{ $flags = concat $flags (list "-Q" (join "," .)) }}{{ end -}}
{{- if gt (int .maxTasksPerChild) 0 }}{{ $flags = concat $flags (list "--max-tasks-per-child" (int .maxTasksPerChild | toString)) }}{{ end -}}
{{- $flags = concat $flags .extraArgs -}}
{{- if .image.repository }}
{{- $program := ternary (list .python "-m" "celery") (list "celery") (not (empty .python)) }}
{{- $plugin := list "-I" "kelery_worker" "-P" "prefork" "-O" "fair" "--disable-prefetch" "--without-gossip" "--without-mingle" }}
command:
  {{- toYaml (concat $program (list "-A" .app "worker") $plugin $flags) | nindent 2 }}
{{- else }}
args:
  {{- toYaml (concat (list "worker" "-A" .app) $flags) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The liveness probe. It starts in some tens of milliseconds; `celery inspect ping` would start all of Celery each time. */}}
{{- define "kelery.pool.alive" -}}
{{- $program := list "python3" "-I" "-S" "/opt/kelery/inject/kelery_worker/scripts/liveness_probe.py" -}}
{{- if .pool.image.repository -}}
{{- $python := .pool.python | default "python3" -}}
{{- $program = ternary (list $python "-I" "-S" "/kelery/inject/kelery_worker/scripts/liveness_probe.py") (list $python "-m" "kelery_worker.scripts.liveness_probe") .pool.inject -}}
{{- end -}}
exec:
  command:
    {{- toYaml (concat $program (list "/kelery/run/heartbeat" (.seconds | toString))) | nindent 4 }}
timeoutSeconds: 10
{{- end -}}

{{/* The folders of PYTHONPATH, joined. Empty if there are none. */}}
{{- define "kelery.pool.pythonPath" -}}
{{- $folders := list -}}
{{- if and .image.repository .inject }}{{ $folders = append $folders "/kelery/inject" }}{{ end -}}
{{- if or .code.inline .code.configMap }}{{ $folders = append $folders "/kelery/code" }}{{ end -}}
{{- concat $folders .pythonPath | join ":" -}}
{{- end -}}

{{/* Environment of a worker, as a list: {root, pool}. */}}
{{- define "kelery.pool.env" -}}
{{- $names := list "KELERY_REDIS_URL" "CELERY_BROKER_URL" -}}
{{- if .pool.setResultBackend }}{{ $names = append $names "CELERY_RESULT_BACKEND" }}{{ end -}}
{{- include "kelery.broker.env" (dict "root" .root "names" $names) }}
{{ include "kelery.ledger.env" .root }}
- name: KELERY_DRAIN_SECONDS
  value: {{ .pool.drainSeconds | int | default (max 1 (sub (int .pool.terminationGracePeriodSeconds) 15)) | toString | quote }}
- name: KELERY_HEARTBEAT_FILE
  value: /kelery/run/heartbeat
- name: HOME
  value: /tmp
{{- with include "kelery.pool.pythonPath" .pool }}
- name: PYTHONPATH
  value: {{ . | quote }}
{{- end }}
{{- end -}}
