/* Runs on the build host, with sanitizers: everything of the init that does not need a VM. */
#include "check.h"

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "frames", test_frames }, { "fields", test_fields }, { "requests", test_requests }, { "users", test_users },
		{ "ring", test_ring },     { "lines", test_lines },   { "search", test_search },     { "oom", test_oom },
		{ "memory", test_memory }, { "execs", test_execs },   { "processes", test_processes }, { "files", test_files },
		{ "listening", test_listening },
		{ "streams", test_streams },
		{ "api", test_api },
	};

	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
		tests[i].run();
		printf("ok %s\n", tests[i].name);
		fflush(stdout);
	}
	return 0;
}
