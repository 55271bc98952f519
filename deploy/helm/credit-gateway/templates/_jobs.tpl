{{/* "true" if jobs need what is there only with this chart: topics, or a certificate by which they log in. The gateway is
     not ready before its lanes have begun, and who waits for its pods would never come to a hook behind them. So the jobs
     belong to the release like the pods, and are tried again until all is there. */}}
{{- define "credit-gateway.jobs-beside" -}}
{{- $beside := .Values.strimzi.topics.enabled -}}
{{- range $name := include "credit-gateway.files-of" (dict "root" . "sections" (list "kafka" "schemas")) | fromJsonArray -}}
{{- if (get $.Values.files $name | default dict).certificate -}}{{- $beside = true -}}{{- end -}}
{{- end -}}
{{- if $beside -}}true{{- end -}}
{{- end -}}

{{/* What makes a thing part of a job that runs before the gateway, given its place in the order (text). */}}
{{- define "credit-gateway.job-hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
# One that failed stays, so that its log can be read.
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* Kubernetes waits 10 s before it tries again, then 20, 40 and so on to six minutes: 20 are not used up within the
     longest deadline that values.schema.json allows, so that with things still to come the deadline alone counts. */}}
{{- define "credit-gateway.job-retries" -}}
{{- $retries := .Values.topicCheck.retries -}}
{{- if kindIs "invalid" $retries -}}
{{- if include "credit-gateway.jobs-beside" . -}}20{{- else -}}3{{- end -}}
{{- else -}}
{{- int $retries -}}
{{- end -}}
{{- end -}}

{{/* The pod of one, given (dict "root" $ "component" "..." "args" (list ...) "settings" ConfigMap "sections" (list ...)). */}}
{{- define "credit-gateway.job-template" -}}
{{- $names := include "credit-gateway.files-of" . | fromJsonArray -}}
metadata:
  labels:
    {{- include "credit-gateway.labels" . | nindent 4 }}
spec:
  restartPolicy: Never
  {{- include "credit-gateway.pod" .root | nindent 2 }}
  containers:
    - name: {{ .component }}
      {{- include "credit-gateway.container" .root | nindent 6 }}
      args:
        {{- toYaml .args | nindent 8 }}
      env:
        - name: GATEWAY_CONFIG
          value: /etc/credit-gateway/settings/gateway.toml
      resources:
        requests: {cpu: 100m, memory: 256Mi}
        limits: {memory: 256Mi}
      volumeMounts:
        {{- include "credit-gateway.mounts" (dict "names" $names) | nindent 8 }}
  volumes:
    {{- include "credit-gateway.volumes" (dict "root" .root "names" $names "settings" .settings) | nindent 4 }}
{{- end -}}
