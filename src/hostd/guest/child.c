#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"
#include "root.h"
#include "search.h"
#include "sys.h"
#include "users.h"

enum { ACCOUNTS_MAX = 1024 * 1024 };

static void require(struct child *c, enum step step, int error, const char *detail)
{
	if (error)
		report_failure(c->report, step, error, detail);
}

static void mount_all(struct child *c)
{
	uint64_t found, done;

	require(c, STEP_MOUNT, unshare(CLONE_NEWNS) < 0 ? errno : 0, "mount namespace");
	require(c, STEP_DISK, mount_image(c->root_disk), "image");
	found = now_us();
	report_phase(c->report, PHASE_DISK, c->run_at_us, found);
	require(c, STEP_MOUNT, mount_overlay(), "overlay");
	require(c, STEP_MOUNT, enter_root(), "root");
	done = now_us();
	report_phase(c->report, PHASE_MOUNT, found, done);
}

static void find_user(struct child *c, struct identity *who)
{
	char *passwd = read_text("/etc/passwd", ACCOUNTS_MAX), *group = read_text("/etc/group", ACCOUNTS_MAX);

	require(c, STEP_SYSTEM, passwd && group ? 0 : ENOMEM, "accounts");
	if (!resolve_user(c->request->user, passwd, group, who))
		report_failure(c->report, STEP_USER, 0, c->request->user);
	free(passwd);
	free(group);
}

static void set_default(struct run_request *r, const char *name, const char *value)
{
	char *text;

	if (!env_get(r->envp, name) && asprintf(&text, "%s=%s", name, value) > 0)
		r->envp[r->envc++] = text;
}

/* Standard streams. They change hands too: /dev/stdout is opened anew by name, which needs the user's own permission. */
static void set_streams(struct child *c, const struct identity *who)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	require(c, STEP_SYSTEM, fchown(c->out, who->uid, who->gid) || fchown(c->err, who->uid, who->gid) ? errno : 0, "streams");
	require(c, STEP_SYSTEM, dup2(null, 0) < 0 || dup2(c->out, 1) < 0 || dup2(c->err, 2) < 0 ? errno : 0, "streams");
}

static void become(struct child *c, const struct identity *who)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	umask(022);
	write_file("/proc/self/oom_score_adj", "0");
	setsid();
	require(c, STEP_SYSTEM, setgroups(who->group_count, who->groups) < 0 ? errno : 0, "setgroups");
	require(c, STEP_SYSTEM, setgid(who->gid) < 0 ? errno : 0, "setgid");
	require(c, STEP_SYSTEM, setuid(who->uid) < 0 ? errno : 0, "setuid");
}

struct attempt {
	const struct run_request *request;
	char missing_for[256]; /* a file that is there, but whose interpreter is not */
};

static int attempt(void *ctx, const char *candidate)
{
	struct attempt *a = ctx;
	int err;

	execve(candidate, a->request->argv, a->request->envp);
	err = errno;
	if (err == ENOENT && access(candidate, F_OK) == 0)
		snprintf(a->missing_for, sizeof a->missing_for, "interpreter of %.200s", candidate);
	return err;
}

void child_run(struct child *c)
{
	struct run_request *r = c->request;
	struct attempt a = { .request = r };
	struct identity who;
	const char *file;
	uint64_t start;
	int err;

	mount_all(c);
	start = now_us();
	err = write_network_files(r->hostname, &file);
	require(c, STEP_FILES, err, file);
	find_user(c, &who);
	err = make_directories(r->working_dir);
	require(c, STEP_WORKING_DIR, err ? err : chdir(r->working_dir) < 0 ? errno : 0, r->working_dir);
	set_default(r, "PATH", DEFAULT_PATH);
	set_default(r, "HOME", who.home);
	set_default(r, "HOSTNAME", r->hostname);
	set_streams(c, &who);
	become(c, &who);
	report_phase(c->report, PHASE_EXEC, start, now_us());
	err = search_and_exec(r->argv[0], env_get(r->envp, "PATH"), attempt, &a);
	report_failure(c->report, STEP_EXEC, err, a.missing_for[0] ? a.missing_for : r->argv[0]);
}
