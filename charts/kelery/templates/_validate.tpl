{{/* What the schema cannot see: values that do not go together. Each message says what to set. */}}
{{- define "kelery.validate" -}}
{{- if and (not .Values.redis.enabled) (not .Values.broker.url) (not .Values.broker.existingSecret.name) -}}
{{- fail "there is no Redis: set broker.existingSecret.name (or broker.url) to yours, or redis.enabled=true for the bundled Valkey" -}}
{{- end -}}
{{- if and .Values.broker.url .Values.broker.existingSecret.name -}}
{{- fail "broker.url and broker.existingSecret.name both name a Redis: set one of them" -}}
{{- end -}}
{{- if and (eq .Values.scope.mode "cluster") .Values.scope.namespaces -}}
{{- fail "scope.namespaces has no effect with scope.mode=cluster: set scope.mode=namespaces, or leave the list empty" -}}
{{- end -}}
{{- if and .Values.operator.enabled (eq .Values.scope.mode "namespaces") (not .Values.clusterId) (not (include "kelery.bundled" .)) -}}
{{- fail "with scope.mode=namespaces and a Redis of your own set clusterId to a name of this cluster that no other operator on that Redis has" -}}
{{- end -}}
{{- $names := (include "kelery.namespaces" . | fromYaml).names -}}
{{- if and .Values.gateway.namespace $names (not (has .Values.gateway.namespace $names)) -}}
{{- fail (printf "gateway.namespace=%s is not among scope.namespaces" .Values.gateway.namespace) -}}
{{- end -}}
{{- range $part := list "gateway" "operator" -}}
{{- $values := get $.Values $part -}}
{{- if and $values.enabled $.Values.rbac.create (not $values.serviceAccount.create) (not $values.serviceAccount.name) -}}
{{- fail (printf "%s.serviceAccount.create=false needs %s.serviceAccount.name, an account of yours: otherwise every pod of the namespace that names none would have its rights" $part $part) -}}
{{- end -}}
{{- end -}}
{{- if .Values.gateway.enabled -}}
{{- if and .Values.gateway.ingress.enabled (not .Values.gateway.ingress.hosts) -}}
{{- fail "gateway.ingress.enabled=true leads nowhere: set gateway.ingress.hosts, such as [{host: kelery.example}]" -}}
{{- end -}}
{{- with .Values.gateway.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail "gateway.autoscaling.minReplicas is greater than maxReplicas" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.rbac.create (eq .Values.gateway.auth "kubernetes") (not (include "kelery.authDelegator" .)) -}}
{{- fail "the gateway needs the ClusterRole system:auth-delegator to ask who may do what: set gateway.authDelegator=true (renders one ClusterRoleBinding), or rbac.create=false and bind it yourself, or gateway.enabled=false" -}}
{{- end -}}
{{- if eq .Values.gateway.auth "none" -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- fail "gateway.auth=none lets everybody run tasks who reaches the gateway: leave networkPolicy.enabled=true, which keeps others out, or use gateway.auth=kubernetes" -}}
{{- end -}}
{{- if or .Values.gateway.ingress.enabled (ne .Values.gateway.service.type "ClusterIP") -}}
{{- fail "gateway.auth=none goes neither with gateway.ingress nor with a gateway.service.type other than ClusterIP: everybody could run tasks" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := .Values.workers -}}
{{- $pool := include "kelery.pool" (dict "root" $ "name" $name) | fromYaml -}}
{{- if $pool.enabled -}}
{{- if not $pool.app -}}
{{- fail (printf "workers.%s.app: name the Celery app, as `celery -A` takes it" $name) -}}
{{- end -}}
{{- if ge (int $pool.drainSeconds) (int $pool.terminationGracePeriodSeconds) -}}
{{- fail (printf "workers.%s.drainSeconds must be less than its terminationGracePeriodSeconds: after that the pod is killed" $name) -}}
{{- end -}}
{{- if and $pool.code.inline $pool.code.configMap -}}
{{- fail (printf "workers.%s.code: set inline or configMap, not both" $name) -}}
{{- end -}}
{{- if and $pool.image.repository (not $pool.image.tag) (not $pool.image.digest) -}}
{{- fail (printf "workers.%s.image: give a tag or a digest" $name) -}}
{{- end -}}
{{- if and (eq $pool.autoscaling.type "keda") (not $.Values.gateway.enabled) -}}
{{- fail (printf "workers.%s.autoscaling.type=keda asks the gateway how much there is to do: set gateway.enabled=true" $name) -}}
{{- end -}}
{{- if and (ne $pool.autoscaling.type "none") (gt (int $pool.autoscaling.minReplicas) (int $pool.autoscaling.maxReplicas)) -}}
{{- fail (printf "workers.%s.autoscaling.minReplicas is greater than maxReplicas" $name) -}}
{{- end -}}
{{- if and (eq $pool.autoscaling.type "hpa") (lt (int $pool.autoscaling.minReplicas) 1) -}}
{{- fail (printf "workers.%s.autoscaling.minReplicas must be at least 1 with type hpa" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
