#include "workload/child.h"

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

#include "workload/request.h"
#include "workload/root.h"
#include "workload/search.h"
#include "system/sys.h"
#include "workload/users.h"

enum { ACCOUNTS_MAX = 1024 * 1024 };

static _Noreturn void fail(struct child *c, enum step step, int error, const char *detail)
{
	struct report *r = &c->handover->report;

	r->failed = true;
	r->failure = (struct failure){ .step = step, .error = error };
	snprintf(r->failure.detail, sizeof r->failure.detail, "%s", detail);
	_exit(127);
}

static void require(struct child *c, enum step step, int error, const char *detail)
{
	if (error)
		fail(c, step, error, detail);
}

static void took(struct child *c, enum phase phase, uint64_t start, uint64_t end)
{
	c->handover->report.phases[phase] = (struct phase_time){ start, end };
}

/* Standard streams, and what else a process has that nobody has set up yet. */
static void set_process(struct child *c)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	require(c, STEP_SYSTEM, dup2(null, 0) < 0 || dup2(c->out, 1) < 0 || dup2(c->err, 2) < 0 ? errno : 0, "streams");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	umask(022);
	write_file("/proc/self/oom_score_adj", "0");
	setsid();
}

static void stand_by(struct child *c)
{
	static const uint8_t ready = 1;
	uint64_t go;

	require(c, STEP_MOUNT, unshare(CLONE_NEWNS) < 0 ? errno : 0, "mount namespace");
	require(c, STEP_MOUNT, stage_kernel_filesystems(), "kernel file systems");
	require(c, STEP_MOUNT, make_layer(), "scratch layer");
	set_process(c);
	require(c, STEP_SYSTEM, write(c->report, &ready, sizeof ready) < 0 ? errno : 0, "ready");
	require(c, STEP_SYSTEM, read(c->go, &go, sizeof go) < 0 ? errno : 0, "go");
}

static void mount_all(struct child *c, const char *hostname)
{
	const struct handover *h = c->handover;
	const char *file = "overlay";
	uint64_t found, done;
	bool named;

	require(c, STEP_DISK, mount_image(h->root_disk), "image");
	found = now_us();
	took(c, PHASE_DISK, h->run_at_us, found);
	require(c, STEP_MOUNT, fit_layer(hostname, &named), "scratch layer");
	require(c, STEP_MOUNT, mount_overlay(), "overlay");
	require(c, STEP_MOUNT, enter_root(), "root");
	done = now_us();
	took(c, PHASE_MOUNT, found, done);
	if (!named) {
		int err = write_network_files(hostname, &file);

		require(c, STEP_FILES, err, file);
	}
}

static void find_user(struct child *c, const char *user, struct identity *who)
{
	char *passwd = read_text("/etc/passwd", ACCOUNTS_MAX), *group = read_text("/etc/group", ACCOUNTS_MAX);

	require(c, STEP_SYSTEM, passwd && group ? 0 : ENOMEM, "accounts");
	if (!resolve_user(user, passwd, group, who))
		fail(c, STEP_USER, 0, user);
	free(passwd);
	free(group);
}

static void set_default(struct run_request *r, const char *name, const char *value)
{
	char *text;

	if (!env_get(r->envp, name) && asprintf(&text, "%s=%s", name, value) > 0)
		r->envp[r->envc++] = text;
}

static void become(struct child *c, const struct identity *who)
{
	/* The streams change hands too: /dev/stdout is opened anew by name, which needs the user's own permission. */
	bool is_root = who->uid == 0 && who->gid == 0;

	if (!is_root)
		require(c, STEP_SYSTEM, fchown(c->out, who->uid, who->gid) || fchown(c->err, who->uid, who->gid) ? errno : 0, "streams");
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
	struct run_request r = { 0 };
	struct attempt a = { .request = &r };
	struct identity who;
	const char *why;
	uint64_t start;
	int err;

	stand_by(c);
	if (!run_request_parse(&r, c->handover->body, c->handover->len, &why))
		fail(c, STEP_REQUEST, 0, why);
	mount_all(c, r.hostname);
	start = now_us();
	find_user(c, r.user, &who);
	err = make_directories(r.working_dir);
	require(c, STEP_WORKING_DIR, err ? err : chdir(r.working_dir) < 0 ? errno : 0, r.working_dir);
	set_default(&r, "PATH", DEFAULT_PATH);
	set_default(&r, "HOME", who.home);
	set_default(&r, "HOSTNAME", r.hostname);
	become(c, &who);
	took(c, PHASE_EXEC, start, now_us());
	err = search_and_exec(r.argv[0], env_get(r.envp, "PATH"), attempt, &a);
	fail(c, STEP_EXEC, err, a.missing_for[0] ? a.missing_for : r.argv[0]);
}
