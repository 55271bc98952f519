{{/* Names under `files` that some sections of the settings use, as JSON, given (dict "root" $ "sections" (list "kafka")):
     what a job needs that talks to these parts alone. */}}
{{- define "credit-gateway.files-of" -}}
{{- $names := list -}}
{{- range $section := .sections -}}
{{- range $setting, $value := get $.root.Values.settings $section -}}
{{- if and (hasSuffix "_file" $setting) (kindIs "string" $value) -}}
{{- $names = append $names (trimPrefix "/etc/credit-gateway/" $value | splitList "/" | first) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- uniq $names | toJson -}}
{{- end -}}

{{/* What every pod has: the restricted Pod Security Standard, no token, where it may run.
     OpenShift chooses the user itself: podSecurity.runAsUser: null. */}}
{{- define "credit-gateway.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .Values.podSecurity.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  fsGroup: {{ int64 . }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What every container has. */}}
{{- define "credit-gateway.container" -}}
image: {{ include "credit-gateway.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* What a container gets, given its values: as much memory is set aside as it may use, unless less is asked for. */}}
{{- define "credit-gateway.resources" -}}
requests:
  cpu: {{ .requests.cpu }}
  memory: {{ .requests.memory | default .limits.memory }}
limits:
  {{- toYaml .limits | nindent 2 }}
{{- end -}}

{{/* The settings' file and what its paths name, given (dict "root" $ "names" (list of names under files)). */}}
{{- define "credit-gateway.mounts" -}}
- name: settings
  mountPath: /etc/credit-gateway/settings
  readOnly: true
{{- range .names }}
- name: file-{{ . }}
  mountPath: /etc/credit-gateway/{{ . }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* Their volumes; "settings" is the ConfigMap's name. */}}
{{- define "credit-gateway.volumes" -}}
- name: settings
  configMap:
    name: {{ .settings }}
{{- range $name := .names }}
{{- $source := get $.root.Values.files $name }}
- name: file-{{ $name }}
  {{- if $source.secret }}
  secret:
    secretName: {{ $source.secret }}
    defaultMode: 0440
  {{- else if $source.certificate }}
  secret:
    secretName: {{ include "credit-gateway.fullname" $.root }}-{{ $name }}
    defaultMode: 0440
  {{- else if $source.configMap }}
  configMap:
    name: {{ $source.configMap }}
  {{- else }}
  csi:
    readOnly: true
    {{- toYaml $source.csi | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}
