#include "system/limits.h"

#include <stddef.h>
#include <sys/resource.h>

#include "system/sys.h"

enum { OPEN_FILES_SOFT = 65536, OPEN_FILES_HARD = 1048576 };

void set_limits(void)
{
	static const struct {
		const char *file, *value;
	} settings[] = {
		/* The kernel allows few tasks in a small VM; memory bounds them. */
		{ "/proc/sys/kernel/threads-max", "4194304" },
		{ "/proc/sys/kernel/pid_max", "4194304" },
		{ "/proc/sys/fs/file-max", "9223372036854775807" },
		{ "/proc/sys/vm/max_map_count", "1048576" },
		{ "/proc/sys/fs/inotify/max_user_instances", "8192" },
		{ "/proc/sys/fs/inotify/max_user_watches", "1048576" },
		/* As on a large host: what a program asks for counts once it is used. */
		{ "/proc/sys/vm/overcommit_memory", "1" },
		/* A line in the log for every process takes longer than a fork. */
		{ "/proc/sys/vm/oom_dump_tasks", "0" },
	};
	struct rlimit files = { OPEN_FILES_SOFT, OPEN_FILES_HARD }, unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		if (!write_file(settings[i].file, settings[i].value))
			log_kernel("%s could not be set", settings[i].file);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_NPROC, &unlimited);
	setrlimit(RLIMIT_SIGPENDING, &unlimited);
}
