{{/* The name of a topic's resource, from the topic's: lower case, digits, '-' and '.', and a letter or digit at both ends of
     what dots part. */}}
{{- define "credit-gateway.topic-resource" -}}
{{- $plain := regexReplaceAll "[^a-z0-9.]" (lower .) "-" -}}
{{- regexReplaceAll "[-.]*[.][-.]*" $plain "." | trimAll "-." -}}
{{- end -}}

{{/* What Strimzi would make differently from what the gateway logs in with. */}}
{{- define "credit-gateway.refusals.strimzi" -}}
{{- $wrong := list -}}
{{- $strimzi := .root.Values.strimzi -}}
{{- if and (or $strimzi.topics.enabled $strimzi.users.enabled) (not $strimzi.cluster) -}}
{{- $wrong = append $wrong "strimzi.cluster: missing: the name of the Kafka resource that the topics and users belong to" -}}
{{- end -}}
{{- if $strimzi.users.enabled -}}
{{- $protocol := get .flat "kafka.security_protocol" -}}
{{- $mechanism := get .flat "kafka.sasl_mechanism" -}}
{{- $user := get .flat "kafka.sasl_username" -}}
{{- if eq $protocol "PLAINTEXT" -}}
{{- $wrong = append $wrong "strimzi.users.enabled: true, but by settings.kafka.security_protocol PLAINTEXT nobody logs in: choose SSL or SASL_SSL, or set it to false" -}}
{{- else if and (eq $protocol "SASL_SSL") (ne $mechanism "SCRAM-SHA-512") -}}
{{- $wrong = append $wrong (printf "settings.kafka.sasl_mechanism: found %s, but Strimzi's users (strimzi.users.enabled) have passwords for SCRAM-SHA-512 alone: take it out" $mechanism) -}}
{{- end -}}
{{- with $strimzi.users.names.gateway -}}
{{- if and (eq $protocol "SASL_SSL") (ne . $user) -}}
{{- $wrong = append $wrong (printf "strimzi.users.names.gateway: found %s, but the gateway logs in as settings.kafka.sasl_username, %s: make them the same" . $user) -}}
{{- end -}}
{{- end -}}
{{- $on_call := .root.Values.oncall -}}
{{- with get $strimzi.users.names "on-call" -}}
{{- $typed := get $on_call.kafka "sasl_username" -}}
{{- if and $on_call.enabled (eq $protocol "SASL_SSL") $typed (ne . ($typed | toString)) -}}
{{- $wrong = append $wrong (printf "strimzi.users.names.on-call: found %s, but its pod logs in as oncall.kafka.sasl_username, %s: make them the same" . $typed) -}}
{{- end -}}
{{- end -}}
{{- $roles := dict -}}
{{- range $role, $name := $strimzi.users.names -}}
{{- if and $name (hasKey $roles $name) -}}
{{- $wrong = append $wrong (printf "strimzi.users.names.%s: found %s, which is %s's too: each role has a user of its own" $role $name (get $roles $name)) -}}
{{- else if $name -}}
{{- $_ := set $roles $name $role -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}
