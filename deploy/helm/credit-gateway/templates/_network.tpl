{{/* The port of each part, from the setting that says where it is. */}}
{{- define "credit-gateway.ports" -}}
{{- $flat := include "credit-gateway.all" . | fromJson -}}
{{- $ports := dict "kafka" list "genie" list "registry" list "tracing" list -}}
{{- range splitList "," (get $flat "kafka.bootstrap_servers") -}}
{{- $_ := set $ports "kafka" (append $ports.kafka (regexFind "[0-9]+$" . | int) | uniq) -}}
{{- end -}}
{{- range $name, $setting := dict "genie" "genie.base_url" "registry" "schemas.registry_url" "tracing" "tracing.endpoint" -}}
{{- if hasKey $flat $setting -}}
{{- $url := urlParse (get $flat $setting) -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- $_ := set $ports $name (list (int $port)) -}}
{{- end -}}
{{- end -}}
{{- range $name, $port := $ports -}}
{{- with (index $.Values.networkPolicy $name).ports -}}{{- $_ := set $ports $name . -}}{{- end -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}

{{/* Where a pod may connect to, given (dict "root" $ "parts" (list "kafka" ...)): names are looked up in any case. */}}
{{- define "credit-gateway.egress" -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- $ports := include "credit-gateway.ports" .root | fromJson -}}
- to:
    {{- toYaml $policy.dns.to | nindent 4 }}
  ports:
    {{- range $protocol := list "UDP" "TCP" }}
    {{- range $policy.dns.ports }}
    - protocol: {{ $protocol }}
      port: {{ int . }}
    {{- end }}
    {{- end }}
{{- range $name := .parts }}
{{- if and (get $ports $name) (index $policy $name).to }}
- to:
    {{- toYaml (index $policy $name).to | nindent 4 }}
  ports:
    {{- range get $ports $name }}
    - protocol: TCP
      port: {{ int . }}
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}
