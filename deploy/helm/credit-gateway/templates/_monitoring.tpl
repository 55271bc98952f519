{{/* A file whose links lead to the runbook, given (dict "root" $ "file" "..."), with the address where that is served. */}}
{{- define "credit-gateway.with-runbook" -}}
{{- .root.Files.Get .file | replace "RUNBOOK_URL" .root.Values.prometheusRule.runbookUrl -}}
{{- end -}}

{{/* Whoever an alert wakes must get to the page that says what to do. */}}
{{- define "credit-gateway.refusals.monitoring" -}}
{{- $wrong := list -}}
{{- if not .Values.prometheusRule.runbookUrl -}}
{{- range $name, $part := dict "prometheusRule" .Values.prometheusRule "grafana.dashboards" .Values.grafana.dashboards -}}
{{- if $part.enabled -}}
{{- $wrong = append $wrong (printf "prometheusRule.runbookUrl: missing, but %s.enabled is true: say where you serve the runbook of docs/ (`make docs`), such as https://docs.example.jp/gateway/runbook" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}
