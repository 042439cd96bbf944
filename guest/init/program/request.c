#include "program/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/protocol.h"
#include "channel/tlv.h"

enum { FILE_HEADER = 8, PERMISSIONS = 07777 };

static char *copy(struct run_request *r, size_t *used, const void *bytes, size_t n)
{
	char *s = r->memory + *used;

	memcpy(s, bytes, n);
	s[n] = '\0';
	*used += n + 1;
	return s;
}

static bool is_text(uint16_t tag)
{
	return tag >= TAG_ROOT_SERIAL && tag <= TAG_RESOLVER;
}

/* The length of a file's path, or 0 when the field is not one of an absolute path. */
static size_t path_length(const struct tlv *field)
{
	const uint8_t *p = field->value;
	size_t n;

	if (field->len <= FILE_HEADER)
		return 0;
	n = p[4] | (size_t)p[5] << 8 | (size_t)p[6] << 16 | (size_t)p[7] << 24;
	if (n > field->len - FILE_HEADER || p[FILE_HEADER] != '/' || memchr(p + FILE_HEADER, '\0', n))
		return 0;
	return n;
}

static void take_file(struct run_request *r, size_t *used, const struct tlv *field, struct file_request *file)
{
	const uint8_t *p = field->value;
	size_t path = path_length(field);

	file->mode = (mode_t)(p[0] | p[1] << 8) & PERMISSIONS;
	file->path = copy(r, used, p + FILE_HEADER, path);
	file->len = field->len - FILE_HEADER - path;
	file->content = (const uint8_t *)copy(r, used, p + FILE_HEADER + path, file->len);
}

static bool is_deep(const uint8_t *path, size_t n)
{
	size_t depth = 0;

	for (size_t i = 0; i < n; i++)
		depth += path[i] == '/';
	return depth > DEPTH_MAX;
}

/* Counts arguments, variables and bytes of text, and checks them. */
static const char *measure(struct run_request *r, struct tlv_reader in, size_t *text)
{
	struct tlv field;

	while (tlv_next(&in, &field)) {
		if (field.tag == TAG_FILE) {
			if (path_length(&field) == 0)
				return "a file has no absolute path";
			if (is_deep(field.value + FILE_HEADER, path_length(&field)))
				return "the path of a file has too many folders";
			*text += field.len + 2;
			r->filec++;
		}
		if (!is_text(field.tag))
			continue;
		if (field.len > 0 && memchr(field.value, '\0', field.len))
			return "a text holds a zero byte";
		if (field.tag == TAG_ENV && (field.len == 0 || field.value[0] == '=' || !memchr(field.value, '=', field.len)))
			return "a variable is not NAME=value";
		if ((field.tag == TAG_VOLUME || field.tag == TAG_WORKING_DIR) && is_deep(field.value, field.len))
			return "the path of a volume or of the working directory has too many folders";
		*text += field.len + 1;
		r->argc += field.tag == TAG_ARG;
		r->envc += field.tag == TAG_ENV;
		r->volumec += field.tag == TAG_VOLUME;
	}
	if (in.broken)
		return "a field reaches beyond the message";
	if (r->argc == 0)
		return "no program to run";
	if (r->argc > ARGS_MAX)
		return "too many arguments";
	if (r->envc > ENV_MAX)
		return "too many variables";
	if (r->volumec > VOLUMES_MAX)
		return "too many volumes";
	if (r->filec > FILES_MAX)
		return "too many files";
	return NULL;
}

static const char *fill(struct run_request *r, struct tlv_reader in)
{
	size_t used = 0, argc = 0, envc = 0, volumec = 0, filec = 0;
	struct tlv field;

	while (tlv_next(&in, &field)) {
		char *text = is_text(field.tag) ? copy(r, &used, field.value, field.len) : NULL;

		switch (field.tag) {
		case TAG_HOST_TIME:
			if (!tlv_number(&field, &r->host_time_us))
				return "host time is not a number";
			break;
		case TAG_ENTROPY:
			if (field.len > ENTROPY_MAX)
				return "too much entropy";
			memcpy(r->entropy, field.value, field.len);
			r->entropy_len = field.len;
			break;
		case TAG_ARG: r->argv[argc++] = text; break;
		case TAG_ENV: r->envp[envc++] = text; break;
		case TAG_ROOT_SERIAL: r->root_serial = text; break;
		case TAG_SCRATCH_SERIAL: r->scratch_serial = text; break;
		case TAG_USER: r->user = text; break;
		case TAG_WORKING_DIR: r->working_dir = text; break;
		case TAG_HOSTNAME: r->hostname = text; break;
		case TAG_VOLUME: r->volumes[volumec++] = text; break;
		case TAG_RESOLVER: r->resolver = text; break;
		case TAG_TTY: r->tty = field.len == 1 && field.value[0] == 1; break;
		case TAG_FILE: take_file(r, &used, &field, &r->files[filec++]); break;
		default: break; /* of a newer host */
		}
	}
	if (r->working_dir && r->working_dir[0] != '/')
		return "the working directory is not absolute";
	if (r->argv[0][0] == '\0')
		return "the program's name is empty";
	return NULL;
}

/* @param more variables that are added later */
static const char *parse(struct run_request *r, size_t more, const uint8_t *body, size_t n)
{
	struct tlv_reader in = { .at = body, .left = n };
	size_t text = 0;
	const char *why = measure(r, in, &text);

	if (why)
		return why;
	r->memory = malloc(text + 1);
	r->argv = calloc(r->argc + 1, sizeof *r->argv);
	r->envp = calloc(r->envc + more + 1 + SPARE_ENV, sizeof *r->envp);
	r->volumes = calloc(r->volumec + 1, sizeof *r->volumes);
	r->files = calloc(r->filec + 1, sizeof *r->files);
	return r->memory && r->argv && r->envp && r->volumes && r->files ? fill(r, in) : "out of memory";
}

bool run_request_parse(struct run_request *r, const uint8_t *body, size_t n, const char **why)
{
	*why = parse(r, 0, body, n);
	if (!*why && (!r->root_serial || !r->scratch_serial || !r->user || !r->working_dir || !r->hostname))
		*why = "a field is missing";
	return *why == NULL;
}

/* Whether a variable NAME=value is set already. */
static bool is_set(const struct run_request *r, const char *variable)
{
	size_t n = strcspn(variable, "=") + 1;

	for (char **at = r->envp; *at; at++)
		if (strncmp(*at, variable, n) == 0)
			return true;
	return false;
}

bool exec_request_parse(struct run_request *r, const struct run_request *workload, const uint8_t *body, size_t n, const char **why)
{
	*why = parse(r, workload->envc, body, n);
	if (*why)
		return false;
	for (char **at = workload->envp; *at; at++)
		if (!is_set(r, *at))
			r->envp[r->envc++] = *at;
	if (!r->user)
		r->user = workload->user;
	if (!r->working_dir)
		r->working_dir = workload->working_dir;
	r->hostname = workload->hostname;
	return true;
}

void run_request_free(struct run_request *r)
{
	free(r->memory);
	free(r->argv);
	free(r->envp);
	free(r->volumes);
	free(r->files);
	*r = (struct run_request){ 0 };
}

const char *env_get(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

void env_default(struct run_request *r, const char *name, const char *value)
{
	char *text;

	if (!env_get(r->envp, name) && asprintf(&text, "%s=%s", name, value) > 0)
		r->envp[r->envc++] = text;
}
