{{/* What the schema can't say, with sentences that say what to do. */}}
{{- define "agent-store.validate" -}}
{{- $v := .Values }}
{{- if not (or $v.operator.enabled $v.store.enabled) }}
{{- fail "operator.enabled and store.enabled are both false: nothing is left to install" }}
{{- end }}
{{- if $v.store.enabled }}
{{- include "agent-store.validate.secrets" . }}
{{- if and $v.rabbitmq.enabled $v.broker.rabbitmqClusterReference.namespace (ne $v.broker.rabbitmqClusterReference.namespace .Release.Namespace) }}
{{- fail (printf "broker.rabbitmqClusterReference.namespace is %s, but rabbitmq.enabled puts the cluster into %s: leave the namespace away (null)" $v.broker.rabbitmqClusterReference.namespace .Release.Namespace) }}
{{- end }}
{{- if and $v.rabbitmq.enabled (ne $v.broker.rabbitmqClusterReference.name $v.rabbitmq.name) }}
{{- fail (printf "broker.rabbitmqClusterReference.name is %s, but rabbitmq.enabled makes a cluster %s: use one name" $v.broker.rabbitmqClusterReference.name $v.rabbitmq.name) }}
{{- end }}
{{- $where := dict }}
{{- range $name, $agent := $v.agents }}
{{- if $agent }}
{{- if not $agent.run }}
{{- fail (printf "agents.%s.run: name the agents that run in it, like [whatsapp]" $name) }}
{{- end }}
{{- range $agent.run }}
{{- if eq . "seller" }}
{{- fail (printf "agents.%s.run: a seller belongs to a brand: write it as a block under brands" $name) }}
{{- end }}
{{- if hasKey $where . }}
{{- fail (printf "agents: %s runs in %s and in %s: an agent has one address, so name it in one of them (null takes a LambdaAgent away)" . (get $where .) $name) }}
{{- end }}
{{- $_ := set $where . $name }}
{{- end }}
{{- include "agent-store.validate.spec" (dict "where" (printf "agents.%s" $name) "spec" (mergeOverwrite (deepCopy $v.agentDefaults) (deepCopy $agent))) }}
{{- end }}
{{- end }}
{{- $numbers := dict }}
{{- range $id, $brand := $v.brands }}
{{- if $brand }}
{{- include "agent-store.validate.brand" (dict "id" $id "brand" $brand "numbers" $numbers) }}
{{- include "agent-store.validate.spec" (dict "where" (printf "brands.%s" $id) "spec" (mergeOverwrite (deepCopy $v.agentDefaults) (deepCopy $v.sellers) (deepCopy $brand))) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "agent-store.validate.secrets" -}}
{{- $v := .Values }}
{{- if and $v.secrets.create $v.secrets.external.enabled }}
{{- fail "secrets: either create or external.enabled, not both: one of them has to own the Secret" }}
{{- end }}
{{- if and $v.secrets.values (not $v.secrets.create) }}
{{- fail (printf "secrets.values are given, but secrets.create is false: the Secret %s would not have them" $v.secrets.name) }}
{{- end }}
{{- range $part := list "postgresql" "redis" }}
{{- if and (index $v $part).enabled (not (index $v $part).password) }}
{{- fail (printf "%s.password: give one, since %s.enabled makes the database" $part $part) }}
{{- end }}
{{- end }}
{{- range list "BUS" "DATABASE_URL" "KEYS" "MEDIA_S3_ACCESS_KEY" "MEDIA_S3_SECRET_KEY" "OPENAI_API_KEY" "PAYMENT_WEBHOOK_SECRET" "REDIS_URL" "STAFF_TOKEN" "TRANSCRIBER_API_KEY" "VISION_API_KEY" "WHATSAPP_ACCESS_TOKEN" "WHATSAPP_APP_SECRET" "WHATSAPP_VERIFY_TOKEN" }}
{{- if get $v.settings (printf "AGENT_STORE_%s" .) }}
{{- fail (printf "settings.AGENT_STORE_%s: a secret has no place in a ConfigMap: put it into the Secret %s" . $v.secrets.name) }}
{{- end }}
{{- end }}
{{- if $v.secrets.create }}
{{- range list "AGENT_STORE_KEYS" "AGENT_STORE_STAFF_TOKEN" "AGENT_STORE_WHATSAPP_APP_SECRET" "AGENT_STORE_WHATSAPP_VERIFY_TOKEN" }}
{{- if not (get $v.secrets.values .) }}
{{- fail (printf "secrets.values.%s: there is no default secret, so secrets.create needs it (docs/settings.md)" .) }}
{{- end }}
{{- end }}
{{- if not (or $v.postgresql.enabled (get $v.secrets.values "AGENT_STORE_DATABASE_URL")) }}
{{- fail "secrets.values.AGENT_STORE_DATABASE_URL: give the database's address, or say postgresql.enabled for one of the release's own" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "agent-store.validate.brand" -}}
{{- $id := .id }}
{{- with .brand }}
{{- $inline := and .behavior .behavior.systemPrompt }}
{{- $referred := and .behavior .behavior.systemPromptFrom }}
{{- if gt (len (compact (list (ternary "1" "" (not (empty .prompt))) (ternary "2" "" (not (empty .promptFrom))) (ternary "3" "" (not (empty $inline))) (ternary "4" "" (not (empty $referred)))))) 1 }}
{{- fail (printf "brands.%s: say its prompt once: prompt, promptFrom or behavior" $id) }}
{{- end }}
{{- if and .catalog .catalogFrom }}
{{- fail (printf "brands.%s: say its catalogue once: catalog or catalogFrom" $id) }}
{{- end }}
{{- end }}
{{- $numbers := .numbers }}
{{- range .brand.phoneNumberIds }}
{{- if hasKey $numbers . }}
{{- fail (printf "brands.%s.phoneNumberIds: %s is the number of brands.%s as well: whose would a message be?" $id . (get $numbers .)) }}
{{- end }}
{{- $_ := set $numbers . $id }}
{{- end }}
{{- end }}

{{- define "agent-store.validate.spec" -}}
{{- $where := .where }}
{{- with .spec.ai }}
{{- if and (ne (default "rules" .provider) "rules") (not .model) }}
{{- fail (printf "%s.ai.model: name the model that the provider is to use (llama3.1, gpt-4o-mini …)" $where) }}
{{- end }}
{{- if and (eq (default "rules" .provider) "ollama") (not .endpoint) }}
{{- fail (printf "%s.ai.endpoint: give the address of the Ollama server, like http://ollama.ollama.svc:11434" $where) }}
{{- end }}
{{- end }}
{{- with .spec.scaling }}
{{- if gt (int (default 0 .minReplicas)) (int (default 5 .maxReplicas)) }}
{{- fail (printf "%s.scaling: minReplicas must not be above maxReplicas" $where) }}
{{- end }}
{{- end }}
{{- end }}
