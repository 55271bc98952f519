{{/* Every setting that has a value, by its dotted name, as JSON: templates hand on nothing but text. */}}
{{- define "credit-gateway.flat" -}}
{{- $flat := dict -}}
{{- range $section, $inside := .Values.settings -}}
{{- if and (kindIs "map" $inside) -}}
{{- range $name, $value := $inside -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $flat (printf "%s.%s" $section $name) $value -}}{{- end -}}
{{- end -}}
{{- else if not (kindIs "invalid" $inside) -}}
{{- $_ := set $flat $section $inside -}}
{{- end -}}
{{- end -}}
{{- toJson $flat -}}
{{- end -}}

{{/* The same with the gateway's own defaults for the others. */}}
{{- define "credit-gateway.all" -}}
{{- $known := .Files.Get "files/settings.json" | fromJson -}}
{{- $all := include "credit-gateway.flat" . | fromJson -}}
{{- range $setting, $default := $known.defaults -}}
{{- if not (hasKey $all $setting) -}}{{- $_ := set $all $setting $default -}}{{- end -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/* One value in TOML. YAML's numbers are floats in here; JSON's text is TOML's too. */}}
{{- define "credit-gateway.value" -}}
{{- if kindIs "map" . -}}
{ {{- range $i, $key := keys . | sortAlpha }}{{ if $i }},{{ end }} {{ toJson $key }} = {{ include "credit-gateway.value" (get $ $key) }}{{ end }} }
{{- else if or (kindIs "string" .) (kindIs "bool" .) -}}
{{- toJson . -}}
{{- else if eq (floor .) (float64 .) -}}
{{- int64 . -}}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* The file that GATEWAY_CONFIG names. It is a file, because the gateway sees a file change: key ids need no restart. */}}
{{- define "credit-gateway.toml" -}}
{{- range $name, $value := .Values.settings -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ $name }} = {{ include "credit-gateway.value" $value }}
{{- end -}}
{{- end -}}
{{- range $section, $inside := .Values.settings -}}
{{- if kindIs "map" $inside -}}
{{- with include "credit-gateway.lines" $inside }}

[{{ $section }}]
{{- . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* One line for each setting of a section that has a value. */}}
{{- define "credit-gateway.lines" -}}
{{- range $name, $value := . -}}
{{- if not (kindIs "invalid" $value) }}
{{ $name }} = {{ include "credit-gateway.value" $value }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a text such as 512Mi; values.schema.json keeps it to whole Mi or Gi. */}}
{{- define "credit-gateway.bytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- if hasSuffix "Gi" . -}}{{- mul $number 1073741824 -}}{{- else -}}{{- mul $number 1048576 -}}{{- end -}}
{{- end -}}

{{- define "credit-gateway.memory" -}}
{{- include "credit-gateway.bytes" .Values.resources.limits.memory -}}
{{- end -}}

{{/* Thousandths of a core of a text such as 500m, 2 or 0.5. */}}
{{- define "credit-gateway.millicores" -}}
{{- if hasSuffix "m" . -}}{{- trimSuffix "m" . | int64 -}}{{- else -}}{{- mulf (float64 .) 1000 | int64 -}}{{- end -}}
{{- end -}}

{{/* Milliseconds of a text such as 1h30m. */}}
{{- define "credit-gateway.milliseconds" -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+(ms|h|m|s)" . -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $sum = add $sum (mul (trimSuffix $unit . | int64) (get (dict "h" 3600000 "m" 60000 "s" 1000 "ms" 1) $unit)) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{/* Seconds from SIGTERM to the end, at most: the drain, the last transaction and the producer's end, the rest. */}}
{{- define "credit-gateway.shutdown" -}}
{{- $known := .Files.Get "files/settings.json" | fromJson -}}
{{- $flat := include "credit-gateway.all" . | fromJson -}}
{{- $drain := get $flat "lane.drain_ms" | float64 -}}
{{- add (divf $drain 1000 | ceil | int64) (int64 $known.closing_s) -}}
{{- end -}}

{{- define "credit-gateway.grace" -}}
{{- .Values.terminationGracePeriodSeconds | default (include "credit-gateway.shutdown" .) -}}
{{- end -}}

{{- define "credit-gateway.port" -}}
{{- get (include "credit-gateway.all" . | fromJson) "observe.port" | int -}}
{{- end -}}
