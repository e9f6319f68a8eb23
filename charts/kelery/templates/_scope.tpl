{{/* The scope of the release. */}}

{{/* The served namespaces as {"names": [...]}. An empty list means the whole cluster. */}}
{{- define "kelery.namespaces" -}}
{{- $names := list -}}
{{- if eq .Values.scope.mode "namespaces" -}}
{{- $names = .Values.scope.namespaces | default (list .Release.Namespace) | uniq -}}
{{- end -}}
{{- dict "names" $names | toYaml -}}
{{- end -}}

{{/* The namespace of /start, `helm test` and the example in the notes. The release serves it. */}}
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

{{/* Without a ClusterRole the operator cannot read the uid of kube-system. The bundled Valkey serves one release only, so the release's name is unique. */}}
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

{{/* Permissions of a component on TaskRuns: {root, component, account, rules}. A ClusterRole, or a Role in each namespace. */}}
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
