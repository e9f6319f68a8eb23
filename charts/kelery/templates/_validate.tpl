{{/* Checks that the schema cannot express: values that conflict. Each message names the value to set. */}}
{{- define "kelery.validate" -}}
{{- if and (not .Values.redis.enabled) (not .Values.broker.url) (not .Values.broker.existingSecret.name) -}}
{{- fail "no Redis is configured: set broker.existingSecret.name or broker.url for your own, or redis.enabled=true for the bundled Valkey" -}}
{{- end -}}
{{- if and .Values.broker.url .Values.broker.existingSecret.name -}}
{{- fail "broker.url and broker.existingSecret.name are both set: set only one of them" -}}
{{- end -}}
{{- if and (eq .Values.scope.mode "cluster") .Values.scope.namespaces -}}
{{- fail "scope.namespaces has no effect with scope.mode=cluster: set scope.mode=namespaces, or leave the list empty" -}}
{{- end -}}
{{- if and .Values.operator.enabled (eq .Values.scope.mode "namespaces") (not .Values.clusterId) (not (include "kelery.bundled" .)) -}}
{{- fail "scope.mode=namespaces with your own Redis needs clusterId: set it to a name that no other operator on that Redis uses" -}}
{{- end -}}
{{- $names := (include "kelery.namespaces" . | fromYaml).names -}}
{{- if and .Values.gateway.namespace $names (not (has .Values.gateway.namespace $names)) -}}
{{- fail (printf "gateway.namespace=%s is not in scope.namespaces: set it to one of them, or add it there" .Values.gateway.namespace) -}}
{{- end -}}
{{- range $part := list "gateway" "operator" -}}
{{- $values := get $.Values $part -}}
{{- if and $values.enabled $.Values.rbac.create (not $values.serviceAccount.create) (not $values.serviceAccount.name) -}}
{{- fail (printf "%s.serviceAccount.create=false needs %s.serviceAccount.name: set it to your own account. The default account would give these permissions to every pod without an account" $part $part) -}}
{{- end -}}
{{- end -}}
{{- if .Values.gateway.enabled -}}
{{- if and .Values.gateway.ingress.enabled (not .Values.gateway.ingress.hosts) -}}
{{- fail "gateway.ingress.enabled=true needs gateway.ingress.hosts, such as [{host: kelery.example}]" -}}
{{- end -}}
{{- with .Values.gateway.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail "gateway.autoscaling.minReplicas must not be greater than gateway.autoscaling.maxReplicas" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.rbac.create (eq .Values.gateway.auth "kubernetes") (not (include "kelery.authDelegator" .)) -}}
{{- fail "gateway.auth=kubernetes needs the ClusterRole system:auth-delegator to check tokens and permissions: set gateway.authDelegator=true (renders one ClusterRoleBinding), or rbac.create=false and bind it yourself, or gateway.enabled=false" -}}
{{- end -}}
{{- if eq .Values.gateway.auth "none" -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- fail "gateway.auth=none lets anyone who can reach the gateway run tasks: set networkPolicy.enabled=true to restrict access, or gateway.auth=kubernetes" -}}
{{- end -}}
{{- if or .Values.gateway.ingress.enabled (ne .Values.gateway.service.type "ClusterIP") -}}
{{- fail "gateway.auth=none would let anyone outside the cluster run tasks: set gateway.ingress.enabled=false and gateway.service.type=ClusterIP, or gateway.auth=kubernetes" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := .Values.workers -}}
{{- $pool := include "kelery.pool" (dict "root" $ "name" $name) | fromYaml -}}
{{- if $pool.enabled -}}
{{- if not $pool.app -}}
{{- fail (printf "workers.%s.app is not set: set it to the Celery app, as in `celery -A`" $name) -}}
{{- end -}}
{{- if ge (int $pool.drainSeconds) (int $pool.terminationGracePeriodSeconds) -}}
{{- fail (printf "workers.%s.drainSeconds must be less than terminationGracePeriodSeconds, after which the pod is killed" $name) -}}
{{- end -}}
{{- if and $pool.code.inline $pool.code.configMap -}}
{{- fail (printf "workers.%s.code: set inline or configMap, not both" $name) -}}
{{- end -}}
{{- if and $pool.image.repository (not $pool.image.tag) (not $pool.image.digest) -}}
{{- fail (printf "workers.%s.image: set a tag or a digest" $name) -}}
{{- end -}}
{{- if and (eq $pool.autoscaling.type "keda") (not $.Values.gateway.enabled) -}}
{{- fail (printf "workers.%s.autoscaling.type=keda needs the gateway for the length of queues: set gateway.enabled=true" $name) -}}
{{- end -}}
{{- if and (ne $pool.autoscaling.type "none") (gt (int $pool.autoscaling.minReplicas) (int $pool.autoscaling.maxReplicas)) -}}
{{- fail (printf "workers.%s.autoscaling.minReplicas must not be greater than maxReplicas" $name) -}}
{{- end -}}
{{- if and (eq $pool.autoscaling.type "hpa") (lt (int $pool.autoscaling.minReplicas) 1) -}}
{{- fail (printf "workers.%s.autoscaling.minReplicas must be at least 1 with type hpa" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
