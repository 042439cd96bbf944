#include "program/program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program/search.h"
#include "system/sys.h"

enum { ACCOUNTS_MAX = 1024 * 1024 };

bool set_failure(struct failure *f, enum step step, int error, const char *detail)
{
	*f = (struct failure){ .step = step, .error = error };
	snprintf(f->detail, sizeof f->detail, "%s", detail);
	return false;
}

void reset_process(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	umask(022);
	write_file("/proc/self/oom_score_adj", "0");
	setsid();
}

bool find_user(const char *user, struct identity *who, struct failure *f)
{
	char *passwd = read_text("/etc/passwd", ACCOUNTS_MAX), *group = read_text("/etc/group", ACCOUNTS_MAX);
	bool ok = passwd && group;

	if (!ok)
		set_failure(f, STEP_SYSTEM, ENOMEM, "accounts");
	else if (!resolve_user(user, passwd, group, who))
		ok = set_failure(f, STEP_USER, 0, user);
	free(passwd);
	free(group);
	return ok;
}

static bool is_init(const char *program)
{
	const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;

	return strcmp(name, "init") == 0 || strcmp(name, "systemd") == 0;
}

void set_environment(struct run_request *r, const struct identity *who)
{
	env_default(r, "PATH", DEFAULT_PATH);
	env_default(r, "HOME", who->home);
	env_default(r, "HOSTNAME", r->hostname);
	if (r->tty)
		env_default(r, "TERM", "xterm-256color");
	/* Tells systemd not to manage hardware: see its container interface. */
	if (is_init(r->argv[0]))
		env_default(r, "container", "windhover");
}

bool set_credentials(const struct identity *who, const struct streams *streams, struct failure *f)
{
	int last = streams->is_terminal ? streams->first : 2;
	gid_t gid = streams->is_terminal ? (gid_t)-1 : who->gid;

	/* The streams too: a program that opens /dev/stdout needs permission for the pipe or terminal. */
	for (int fd = streams->first; (who->uid != 0 || who->gid != 0) && fd <= last; fd++)
		if (fchown(fd, who->uid, gid) < 0)
			return set_failure(f, STEP_SYSTEM, errno, "streams");
	if (setgroups(who->group_count, who->groups) < 0)
		return set_failure(f, STEP_SYSTEM, errno, "setgroups");
	if (setgid(who->gid) < 0)
		return set_failure(f, STEP_SYSTEM, errno, "setgid");
	return setuid(who->uid) == 0 || set_failure(f, STEP_SYSTEM, errno, "setuid");
}

struct exec_attempt {
	const struct run_request *request;
	char detail[256]; /* what is wrong with a file that exists */
};

/* The processors of ELF files that images are built for by mistake. */
static const char *processor_name(unsigned machine)
{
	switch (machine) {
	case 40: return "arm";
	case 183: return "aarch64";
	case 21: return "ppc64";
	case 22: return "s390";
	case 243: return "riscv";
	case 258: return "loongarch";
	default: return NULL;
	}
}

static void describe_format(const char *path, char *out, size_t cap)
{
	uint8_t head[20] = { 0 };
	const char *processor;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);

	if (fd >= 0)
		close(fd);
	if (n < (ssize_t)sizeof head || memcmp(head, "\177ELF", 4) != 0)
		return;
	/* The byte before says which way round they are. */
	processor = processor_name(head[5] == 2 ? head[18] << 8 | head[19] : head[19] << 8 | head[18]);
	if (processor)
		snprintf(out, cap, "%.200s, made for %s,", path, processor);
}

static int try_exec(void *ctx, const char *candidate)
{
	struct exec_attempt *a = ctx;
	int err;

	execve(candidate, a->request->argv, a->request->envp);
	err = errno;
	if (err == ENOENT && access(candidate, F_OK) == 0)
		snprintf(a->detail, sizeof a->detail, "interpreter of %.200s", candidate);
	if (err == ENOEXEC)
		describe_format(candidate, a->detail, sizeof a->detail);
	return err;
}

void exec_program(const struct run_request *r, struct failure *f)
{
	struct exec_attempt a = { .request = r };
	int err = search_and_exec(r->argv[0], env_get(r->envp, "PATH"), try_exec, &a);

	set_failure(f, STEP_EXEC, err, a.detail[0] ? a.detail : r->argv[0]);
}
