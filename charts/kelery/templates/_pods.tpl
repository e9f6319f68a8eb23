{{/* Fields that all pods share. The argument is {root, component, spec, ...}; `spec` has the component's values. */}}

{{/* A map as YAML without its nulls; empty if no key is left. Helm drops only nulls that replace a value of values.yaml, so a pool's nulls stay. */}}
{{- define "kelery.withoutNulls" -}}
{{- $kept := dict -}}
{{- range $key, $value := . -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $kept $key (include "kelery.withoutNulls" $value | fromYaml) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $kept $key $value -}}
{{- end -}}
{{- end -}}
{{- with $kept }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* Environment: {own, spec}. The user's variable replaces the chart's of the same name: each name must be unique. */}}
{{- define "kelery.env" -}}
{{- $theirs := dict -}}
{{- range .spec.extraEnv }}{{ $_ := set $theirs .name true }}{{ end -}}
{{- $env := list -}}
{{- range .own }}{{ if not (hasKey $theirs .name) }}{{ $env = append $env . }}{{ end }}{{ end -}}
{{- with concat $env (.spec.extraEnv | default list) }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .spec.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The address to listen on: {root, port}. */}}
{{- define "kelery.listenAddress" -}}
{{- $host := .root.Values.listenHost -}}
{{- printf (ternary "[%s]:%d" "%s:%d" (contains ":" $host)) $host .port -}}
{{- end -}}

{{/* Pod fields except containers and volumes: {root, component, spec, [pool], accountName, token}. */}}
{{- define "kelery.podFields" -}}
{{- with .accountName }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
{{- $secrets := list }}
{{- range concat .root.Values.global.imagePullSecrets .root.Values.imagePullSecrets }}
{{- $secrets = append $secrets (ternary . (dict "name" .) (kindIs "map" .)) }}
{{- end }}
{{- with $secrets | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if kindIs "bool" .spec.hostUsers }}
hostUsers: {{ .spec.hostUsers }}
{{- end }}
{{- with .spec.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .spec.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with include "kelery.withoutNulls" .spec.podSecurityContext }}
securityContext:
  {{- . | nindent 2 }}
{{- end }}
{{- with .spec.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "kelery.withoutNulls" .spec.affinity }}
affinity:
  {{- . | nindent 2 }}
{{- end }}
{{- with .spec.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .spec.topologySpreadConstraints }}
{{- $selector := dict "matchLabels" (include "kelery.selectorLabels" . | fromYaml) }}
topologySpreadConstraints:
  {{- range .spec.topologySpreadConstraints }}
  {{- list (merge (deepCopy .) (dict "labelSelector" $selector)) | toYaml | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Metadata of a pod template: {root, component, spec, [pool], [checksums]}. */}}
{{- define "kelery.podMetadata" -}}
labels:
  {{- include "kelery.labels" (dict "root" .root "component" .component "pool" .pool "podLabels" .spec.podLabels) | nindent 2 }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) (.checksums | default dict) .spec.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "kelery.container" -}}
{{- with include "kelery.withoutNulls" .spec.securityContext }}
securityContext:
  {{- . | nindent 2 }}
{{- end }}
{{- with include "kelery.withoutNulls" .spec.resources }}
resources:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* {root, spec, [own]}. Only /tmp is writable. */}}
{{- define "kelery.volumeMounts" -}}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- if .root.Values.broker.caSecret.name }}
  - name: broker-ca
    mountPath: /kelery/broker-ca
    readOnly: true
  {{- end }}
  {{- with concat (.own | default list) (.spec.extraVolumeMounts | default list) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "kelery.volumes" -}}
volumes:
  - name: tmp
    emptyDir: {}
  {{- with .root.Values.broker.caSecret }}
  {{- if .name }}
  - name: broker-ca
    secret:
      secretName: {{ .name }}
      items:
        - key: {{ .key }}
          path: {{ .key }}
  {{- end }}
  {{- end }}
  {{- with concat (.own | default list) (.spec.extraVolumes | default list) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
