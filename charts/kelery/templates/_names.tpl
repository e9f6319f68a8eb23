{{/* Names and labels. Selectors use name, instance and component, and never change. */}}

{{- define "kelery.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "kelery.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "kelery.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Names of cluster-wide objects. Another namespace can have a release of the same name. */}}
{{- define "kelery.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "kelery.fullname" .) -}}
{{- end -}}

{{- define "kelery.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kelery.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .pool }}
kelery.dev/pool: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Labels of an object, or of a pod with `podLabels`. The chart's labels override others, because selectors need them. */}}
{{- define "kelery.labels" -}}
{{- $own := include "kelery.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "kelery" -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- /* A new version of Kelery does not restart Valkey's pod. */ -}}
{{- if not (and (hasKey . "podLabels") (eq .component "valkey")) -}}
{{- $_ := set $own "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_") -}}
{{- end -}}
{{- if not (hasKey . "podLabels") -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.global.commonLabels) .root.Values.commonLabels (.podLabels | default dict) $own) -}}
{{- end -}}

{{/* Metadata of an object: {root, component, name, [cluster], [labels], [annotations], [pool]}. */}}
{{- define "kelery.metadata" -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ .namespace | default .root.Release.Namespace }}
{{- end }}
labels:
  {{- toYaml (mergeOverwrite (deepCopy (.labels | default dict)) (include "kelery.labels" . | fromYaml)) | nindent 2 }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "kelery.serviceAccountName" -}}
{{- $own := printf "%s-%s" (include "kelery.fullname" .root) .component -}}
{{- if .account.create -}}
{{- .account.name | default $own -}}
{{- else -}}
{{- .account.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* A ServiceAccount: {root, component, account}. A pod gets a token only if it sets automountServiceAccountToken itself. */}}
{{- define "kelery.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "kelery.metadata" (dict "root" .root "component" .component "name" (include "kelery.serviceAccountName" .) "annotations" .account.annotations) | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{/* {root, image}. The digest overrides the tag; the global registry overrides the image's own. */}}
{{- define "kelery.imageReference" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- if $registry }}{{ trimSuffix "/" $registry }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .defaultTag }}{{ end -}}
{{- end -}}

{{- define "kelery.image" -}}
{{- include "kelery.imageReference" (dict "root" . "image" .Values.image "defaultTag" .Chart.AppVersion) -}}
{{- end -}}
