/* The RUN message, parsed and checked. */
#pragma once

#include <stdbool.h>

#include "system/identity.h"

enum { ARGS_MAX = 4096, ENV_MAX = 4096, VOLUMES_MAX = 1024, SPARE_ENV = 4 };

/* Strings point into `memory`. Zero-initialise; free with `run_request_free`. */
struct run_request {
	uint64_t host_time_us;
	uint8_t entropy[ENTROPY_MAX];
	size_t entropy_len;
	char *root_serial, *scratch_serial, *user, *working_dir, *hostname;
	char **argv, **envp; /* each ends with NULL; envp has room for SPARE_ENV more */
	char **volumes; /* paths; ends with NULL */
	size_t argc, envc, volumec;
	char *memory;
};

/* False, with the reason in `*why`, when the body is broken, lacks a field or exceeds a limit. */
bool run_request_parse(struct run_request *r, const uint8_t *body, size_t n, const char **why);
void run_request_free(struct run_request *r);

/* The value of a variable, or NULL. */
const char *env_get(char *const *envp, const char *name);
