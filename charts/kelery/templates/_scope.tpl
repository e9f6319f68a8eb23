{{/* What the release serves. */}}

{{/* The namespaces as {"names": [...]}; none means the whole cluster. */}}
{{- define "kelery.namespaces" -}}
{{- $names := list -}}
{{- if eq .Values.scope.mode "namespaces" -}}
{{- $names = .Values.scope.namespaces | default (list .Release.Namespace) | uniq -}}
{{- end -}}
{{- dict "names" $names | toYaml -}}
{{- end -}}

{{/* The namespace of /start, of `helm test` and of the example in the notes: one that is served. */}}
{{- define "kelery.homeNamespace" -}}
{{- $names := (include "kelery.namespaces" . | fromYaml).names -}}
{{- if .Values.gateway.namespace -}}
{{- .Values.gateway.namespace -}}
{{- else if or (not $names) (has .Release.Namespace $names) -}}
{{- .Release.Namespace -}}
{{- else -}}
{{- first $names -}}
{{- end -}}
{{- end -}}

{{/* Without a ClusterRole nobody may read kube-system's uid; a ledger of our own is shared with no other cluster. */}}
{{- define "kelery.clusterId" -}}
{{- if .Values.clusterId -}}
{{- .Values.clusterId -}}
{{- else if eq .Values.scope.mode "namespaces" -}}
{{- printf "%s.%s" .Release.Namespace (include "kelery.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "kelery.authDelegator" -}}
{{- $asked := .Values.gateway.authDelegator -}}
{{- if ne .Values.gateway.auth "kubernetes" -}}
{{- else if kindIs "bool" $asked -}}
{{- if $asked -}}true{{- end -}}
{{- else if eq .Values.scope.mode "cluster" -}}true
{{- end -}}
{{- end -}}

{{/* Rights of a component on TaskRuns: {root, component, account, rules}; a ClusterRole, or a Role in each namespace. */}}
{{- define "kelery.grant" -}}
{{- $root := .root -}}
{{- $names := (include "kelery.namespaces" $root | fromYaml).names -}}
{{- $subject := dict "kind" "ServiceAccount" "name" (include "kelery.serviceAccountName" .) "namespace" $root.Release.Namespace -}}
{{- $name := printf "%s-%s" (include "kelery.clusterName" $root) .component -}}
{{- $metadata := dict "root" $root "component" .component "name" $name -}}
{{- range $names | default (list "") }}
{{- $kind := ternary "Role" "ClusterRole" (ne . "") }}
{{- $here := mergeOverwrite (dict "namespace" . "cluster" (eq . "")) $metadata }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  {{- include "kelery.metadata" $here | nindent 2 }}
rules:
  {{- toYaml $.rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  {{- include "kelery.metadata" $here | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}
subjects:
  {{- list $subject | toYaml | nindent 2 }}
{{- end }}
{{- end -}}
