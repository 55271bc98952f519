{{/* Values as the pod for people on call has them, as JSON. Kafka's login is its own; of the settings it has what its
     commands read, and so no key that signs, names or proves anything to GeNiE. */}}
{{- define "credit-gateway.on-call-values" -}}
{{- $settings := pick .Values.settings "policy_file" "topics" "schemas" "observe" -}}
{{- $kafka := .Values.settings.kafka -}}
{{- range $name := include "credit-gateway.on-call-login" . | fromJsonArray -}}{{- $kafka = omit $kafka $name -}}{{- end -}}
{{- $_ := set $settings "kafka" (merge (dict) .Values.oncall.kafka $kafka) -}}
{{- dict "settings" $settings "files" (merge (dict) .Values.files .Values.oncall.files) | toJson -}}
{{- end -}}

{{/* Settings of Kafka's that say who we are. */}}
{{- define "credit-gateway.on-call-login" -}}
{{- list "sasl_username" "sasl_password_file" "client_cert_file" "client_key_file" "client_key_password_file" | toJson -}}
{{- end -}}

{{- define "credit-gateway.on-call-selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: on-call
{{- end -}}

{{/* Names of what its settings' files come from, as JSON, given a root with its values. */}}
{{- define "credit-gateway.on-call-files" -}}
{{- $known := .Files.Get "files/settings.json" | fromJson -}}
{{- $flat := include "credit-gateway.flat" . | fromJson -}}
{{- $names := list -}}
{{- range $setting := $known.files -}}
{{- if hasKey $flat $setting -}}
{{- $names = append $names (get $flat $setting | trimPrefix "/etc/credit-gateway/" | splitList "/" | first) -}}
{{- end -}}
{{- end -}}
{{- uniq $names | sortAlpha | toJson -}}
{{- end -}}

{{/* The gateway's login may not read what these commands ask, so theirs must be another, and whole. */}}
{{- define "credit-gateway.refusals.on-call" -}}
{{- $wrong := list -}}
{{- $values := .root.Values -}}
{{- if $values.oncall.enabled -}}
{{- $protocol := get .flat "kafka.security_protocol" -}}
{{- $login := index .known.logins $protocol -}}
{{- range $name := include "credit-gateway.on-call-login" .root | fromJsonArray -}}
{{- $setting := printf "kafka.%s" $name -}}
{{- $found := get $values.oncall.kafka $name -}}
{{- if and (has $setting $login.needed) (not $found) -}}
{{- $wrong = append $wrong (printf "oncall.kafka.%s: missing: give Kafka's login of the role on-call (`gateway topics acls`); the gateway's own may not read what these commands ask" $name) -}}
{{- else if and (has $setting $login.unused) $found -}}
{{- $wrong = append $wrong (printf "oncall.kafka.%s: found %v, but settings.kafka.security_protocol %s leaves it unused: take it out" $name $found $protocol) -}}
{{- else if and $found (has $name (list "sasl_username" "client_cert_file")) (eq $found (get $.flat $setting | toString)) -}}
{{- $wrong = append $wrong (printf "oncall.kafka.%s: found %v, which is the gateway's: give the login of the role on-call" $name $found) -}}
{{- end -}}
{{- end -}}
{{- range $name, $source := $values.oncall.files -}}
{{- if hasKey $values.files $name -}}
{{- $wrong = append $wrong (printf "oncall.files.%s: files.%s is there too: give one of them another name" $name $name) -}}
{{- end -}}
{{- end -}}
{{- range $pair := list (list "client_cert_file" "client_key_file") (list "client_key_file" "client_cert_file") -}}
{{- if and (get $values.oncall.kafka (first $pair)) (not (get $values.oncall.kafka (last $pair))) (not (has (printf "kafka.%s" (last $pair)) $login.needed)) -}}
{{- $wrong = append $wrong (printf "oncall.kafka.%s: missing, but oncall.kafka.%s is set" (last $pair) (first $pair)) -}}
{{- end -}}
{{- end -}}
{{- range $name, $path := omit $values.oncall.kafka "sasl_username" -}}
{{- $from := trimPrefix "/etc/credit-gateway/" $path | splitList "/" | first -}}
{{- if not (or (hasKey $values.files $from) (hasKey $values.oncall.files $from)) -}}
{{- $wrong = append $wrong (printf "oncall.kafka.%s: found %s, but there is no oncall.files.%s: say there which secret or configMap it is" $name $path $from) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}
