#include "workload/request.h"

#include <stdlib.h>
#include <string.h>

#include "channel/protocol.h"
#include "channel/tlv.h"

static char *take_string(struct run_request *r, size_t *used, const struct tlv *field)
{
	char *s = r->memory + *used;

	memcpy(s, field->value, field->len);
	s[field->len] = '\0';
	*used += field->len + 1;
	return s;
}

static bool is_text(uint16_t tag)
{
	return tag >= TAG_ROOT_SERIAL && tag <= TAG_VOLUME;
}

/* Counts arguments, variables and bytes of text, and checks them. */
static const char *measure(struct run_request *r, struct tlv_reader in, size_t *text)
{
	struct tlv field;

	while (tlv_next(&in, &field)) {
		if (!is_text(field.tag))
			continue;
		if (field.len > 0 && memchr(field.value, '\0', field.len))
			return "a text holds a zero byte";
		if (field.tag == TAG_ENV && (field.len == 0 || field.value[0] == '=' || !memchr(field.value, '=', field.len)))
			return "a variable is not NAME=value";
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
	return NULL;
}

static const char *fill(struct run_request *r, struct tlv_reader in)
{
	size_t used = 0, argc = 0, envc = 0, volumec = 0;
	struct tlv field;

	while (tlv_next(&in, &field)) {
		char *text = is_text(field.tag) ? take_string(r, &used, &field) : NULL;

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
		default: break; /* of a newer host */
		}
	}
	if (!r->root_serial || !r->scratch_serial || !r->user || !r->working_dir || !r->hostname)
		return "a field is missing";
	if (r->working_dir[0] != '/')
		return "the working directory is not absolute";
	if (r->argv[0][0] == '\0')
		return "the program's name is empty";
	return NULL;
}

bool run_request_parse(struct run_request *r, const uint8_t *body, size_t n, const char **why)
{
	struct tlv_reader in = { .at = body, .left = n };
	size_t text = 0;

	*why = measure(r, in, &text);
	if (*why)
		return false;
	r->memory = malloc(text + 1);
	r->argv = calloc(r->argc + 1, sizeof *r->argv);
	r->envp = calloc(r->envc + 1 + SPARE_ENV, sizeof *r->envp);
	r->volumes = calloc(r->volumec + 1, sizeof *r->volumes);
	*why = r->memory && r->argv && r->envp && r->volumes ? fill(r, in) : "out of memory";
	return *why == NULL;
}

void run_request_free(struct run_request *r)
{
	free(r->memory);
	free(r->argv);
	free(r->envp);
	free(r->volumes);
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
