{{/* What values.schema.json can't say: values that are right by themselves and wrong together. All in one list. */}}
{{- define "credit-gateway.refusals" -}}
{{- $known := .Files.Get "files/settings.json" | fromJson -}}
{{- $given := include "credit-gateway.flat" . | fromJson -}}
{{- $flat := include "credit-gateway.all" . | fromJson -}}
{{- $wrong := concat
    (include "credit-gateway.refusals.bounds" (dict "known" $known "flat" $flat) | fromJsonArray)
    (include "credit-gateway.refusals.login" (dict "known" $known "flat" $given) | fromJsonArray)
    (include "credit-gateway.refusals.neighbours" (dict "known" $known "flat" $given) | fromJsonArray)
    (include "credit-gateway.refusals.files" (dict "known" $known "flat" $given "root" .) | fromJsonArray)
    (include "credit-gateway.refusals.resources" (dict "known" $known "flat" $flat "root" .) | fromJsonArray)
    (include "credit-gateway.refusals.network" (dict "flat" $flat "root" .) | fromJsonArray)
    (include "credit-gateway.refusals.monitoring" . | fromJsonArray)
    (include "credit-gateway.refusals.on-call" (dict "known" $known "flat" $given "root" .) | fromJsonArray)
    (include "credit-gateway.refusals.start" (dict "flat" $flat "root" .) | fromJsonArray)
    (include "credit-gateway.refusals.strimzi" (dict "flat" $flat "root" .) | fromJsonArray)
    (include "credit-gateway.refusals.parts" (dict "flat" $flat "root" .) | fromJsonArray) -}}
{{- if $wrong -}}
{{- fail (printf "values are wrong:\n  %s" (join "\n  " $wrong)) -}}
{{- end -}}
{{- end -}}

{{/* gateway/contradictions.py: one setting is at most a share of another. */}}
{{- define "credit-gateway.refusals.bounds" -}}
{{- $wrong := list -}}
{{- range $bound := .known.bounds -}}
{{- if and (hasKey $.flat $bound.setting) (hasKey $.flat $bound.other) -}}
{{- $most := mulf (get $.flat $bound.other) $bound.share -}}
{{- $found := get $.flat $bound.setting -}}
{{- if gt (float64 $found) $most -}}
{{- $wrong = append $wrong (printf "settings.%s: found %v: at most %v, because settings.%s is %v (%s)" $bound.setting $found $most $bound.other (get $.flat $bound.other) $bound.why) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{/* The same: what a protocol of Kafka's needs, and what it leaves unused. */}}
{{- define "credit-gateway.refusals.login" -}}
{{- $wrong := list -}}
{{- $protocol := get .flat "kafka.security_protocol" -}}
{{- range $setting := (index .known.logins $protocol).needed -}}
{{- if not (hasKey $.flat $setting) -}}
{{- $wrong = append $wrong (printf "settings.%s: missing, but settings.kafka.security_protocol is %s: set it" $setting $protocol) -}}
{{- end -}}
{{- end -}}
{{- range $setting := (index .known.logins $protocol).unused -}}
{{- if hasKey $.flat $setting -}}
{{- $wrong = append $wrong (printf "settings.%s: found %v, but settings.kafka.security_protocol %s leaves it unused: take it out, or change the protocol" $setting (get $.flat $setting) $protocol) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{/* The same: how a part is reached, that is not said to be anywhere; half of a login. */}}
{{- define "credit-gateway.refusals.neighbours" -}}
{{- $wrong := list -}}
{{- range $need := .known.needs -}}
{{- if hasKey $.flat $need.setting -}}
{{- if not (hasKey $.flat $need.other) -}}
{{- $wrong = append $wrong (printf "settings.%s: found %v, but without settings.%s nothing uses it: set that, or take this out" $need.setting (get $.flat $need.setting) $need.other) -}}
{{- else if and $need.tls (hasPrefix "http://" (get $.flat $need.other)) -}}
{{- $wrong = append $wrong (printf "settings.%s: found %v, but settings.%s has no TLS: begin that with https://, or take this out" $need.setting (get $.flat $need.setting) $need.other) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $pair := .known.pairs -}}
{{- range $both := list $pair (reverse $pair) -}}
{{- if and (hasKey $.flat (first $both)) (not (hasKey $.flat (last $both))) -}}
{{- $wrong = append $wrong (printf "settings.%s: missing, but settings.%s is set" (last $both) (first $both)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{/* A file that a setting names must come from something under `files`. */}}
{{- define "credit-gateway.refusals.files" -}}
{{- $wrong := list -}}
{{- $paths := dict -}}
{{- range $setting := .known.files -}}
{{- $value := get $.flat $setting -}}
{{- if kindIs "map" $value -}}
{{- range $key, $path := $value -}}{{- $_ := set $paths (printf "%s.%s" $setting $key) $path -}}{{- end -}}
{{- else if hasKey $.flat $setting -}}
{{- $_ := set $paths $setting $value -}}
{{- end -}}
{{- end -}}
{{- range $setting, $path := $paths -}}
{{- $name := trimPrefix "/etc/credit-gateway/" $path | splitList "/" | first -}}
{{- if not (regexMatch "^/etc/credit-gateway/[a-z0-9-]+/[^/]+$" $path) -}}
{{- $wrong = append $wrong (printf "settings.%s: found %s: files are mounted as /etc/credit-gateway/NAME/KEY, with NAME one of files (%s)" $setting $path (keys $.root.Values.files | sortAlpha | join ", ")) -}}
{{- else if not (hasKey $.root.Values.files $name) -}}
{{- $wrong = append $wrong (printf "settings.%s: found %s, but there is no files.%s: say there which secret or configMap it is" $setting $path $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $source := $.root.Values.files -}}
{{- with $source.certificate -}}
{{- $lasts := .duration | default "2160h" -}}{{/* cert-manager's own default */}}
{{- if and .renewBefore (ge (include "credit-gateway.milliseconds" .renewBefore | int64) (include "credit-gateway.milliseconds" $lasts | int64)) -}}
{{- $wrong = append $wrong (printf "files.%s.certificate.renewBefore: found %s: less than duration, %s" $name .renewBefore $lasts) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{/* Memory and time that the container gets, against what the process needs of them. */}}
{{- define "credit-gateway.refusals.resources" -}}
{{- $wrong := list -}}
{{- $memory := include "credit-gateway.memory" .root | int64 -}}
{{- $connections := get .flat "genie.connections" | int64 -}}
{{- $least := add (int64 .known.memory.process) (mul $connections (int64 .known.memory.connection)) -}}
{{- if hasKey .flat "tracing.endpoint" -}}{{- $least = add $least (int64 .known.memory.tracing) -}}{{- end -}}
{{- if lt $memory $least -}}
{{- $wrong = append $wrong (printf "resources.limits.memory: found %s: at least %dMi are needed beside settings.genie.connections %d" .root.Values.resources.limits.memory (divf $least 1048576 | ceil | int64) $connections) -}}
{{- end -}}
{{- $whose := dict "resources" .root.Values.resources -}}
{{- with .root.Values.oncall -}}{{- $_ := set $whose "oncall.resources" .resources -}}{{- end -}}
{{- range $path, $of := $whose -}}
{{- range $kind, $unit := dict "memory" "bytes" "cpu" "millicores" -}}
{{- $asked := get $of.requests $kind -}}{{- $most := get $of.limits $kind -}}
{{- if and $asked $most -}}
{{- if gt (include (printf "credit-gateway.%s" $unit) $asked | int64) (include (printf "credit-gateway.%s" $unit) $most | int64) -}}
{{- $wrong = append $wrong (printf "%s.requests.%s: found %s: at most %s.limits.%s, %s" $path $kind $asked $path $kind $most) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $shutdown := include "credit-gateway.shutdown" .root | int64 -}}
{{- $grace := include "credit-gateway.grace" .root | int64 -}}
{{- if lt $grace $shutdown -}}
{{- $wrong = append $wrong (printf "terminationGracePeriodSeconds: found %d: at least %d, because settings.lane.drain_ms is %v; or leave it out" $grace $shutdown (get .flat "lane.drain_ms")) -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{/* A policy that names no peers would forbid what the gateway lives from. */}}
{{- define "credit-gateway.refusals.network" -}}
{{- $wrong := list -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- if $policy.enabled -}}
{{- $needed := dict "kafka" "kafka.bootstrap_servers" "genie" "genie.base_url" -}}
{{- range $name, $setting := dict "registry" "schemas.registry_url" "tracing" "tracing.endpoint" -}}
{{- if hasKey $.flat $setting -}}{{- $_ := set $needed $name $setting -}}{{- end -}}
{{- end -}}
{{- range $name, $setting := $needed -}}
{{- if not (index $policy $name).to -}}
{{- $wrong = append $wrong (printf "networkPolicy.%s.to: empty: list the peers where %s (settings.%s) is, or set networkPolicy.enabled: false" $name (get $.flat $setting) $setting) -}}
{{- end -}}
{{- end -}}
{{- range $monitor := list "podMonitor" "serviceMonitor" -}}
{{- if and (get $.root.Values $monitor).enabled (not $policy.metrics.from) -}}
{{- $wrong = append $wrong (printf "networkPolicy.metrics.from: empty, but %s.enabled is true: list the peers where Prometheus is" $monitor) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{/* Brokers to start from, and where lanes begin. */}}
{{- define "credit-gateway.refusals.start" -}}
{{- $wrong := list -}}
{{- $brokers := splitList "," (get .flat "kafka.bootstrap_servers") -}}
{{- if ne (len $brokers) (uniq $brokers | len) -}}
{{- $wrong = append $wrong (printf "settings.kafka.bootstrap_servers: found %s: a broker is there twice" (join "," $brokers)) -}}
{{- end -}}
{{- with .root.Values.lanesInit -}}
{{- $day := regexFind "^[0-9]{4}-[0-9]{2}-[0-9]{2}" (.from | default "") -}}
{{- if and $day (ne $day (toDate "2006-01-02" $day | date "2006-01-02")) -}}
{{- $wrong = append $wrong (printf "lanesInit.from: found %s: there is no such day" .from) -}}
{{- end -}}
{{- if and .from (not .operator) -}}
{{- $wrong = append $wrong (printf "lanesInit.operator: missing, but lanesInit.from is %s: say who starts the lanes, it goes into the audit topic" .from) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "credit-gateway.refusals.parts" -}}
{{- $wrong := list -}}
{{- $values := .root.Values -}}
{{- if not (regexMatch "^[a-z][a-z0-9-]*$" (include "credit-gateway.fullname" .root)) -}}
{{- $wrong = append $wrong (printf "the release's name: found %s: letters a-z, digits and '-', a letter first, for pods and the service are called by it" .root.Release.Name) -}}
{{- end -}}
{{- if and $values.podMonitor.enabled $values.serviceMonitor.enabled -}}
{{- $wrong = append $wrong "podMonitor.enabled, serviceMonitor.enabled: both: every metric would be there twice; choose one" -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) -}}
{{- $wrong = append $wrong (printf "autoscaling.minReplicas: found %v: at most autoscaling.maxReplicas, %v" $values.autoscaling.minReplicas $values.autoscaling.maxReplicas) -}}
{{- end -}}
{{- if and $values.podDisruptionBudget.enabled $values.autoscaling.enabled (lt (int $values.autoscaling.minReplicas) 2) -}}
{{- $wrong = append $wrong "autoscaling.minReplicas: found 1: at least 2, or nobody serves while a node is drained" -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}
