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

#include "system/sys.h"
#include "workload/process1.h"
#include "workload/request.h"
#include "workload/root.h"
#include "workload/search.h"
#include "workload/users.h"

enum { ACCOUNTS_MAX = 1024 * 1024 };

static _Noreturn void fail(struct child *c, enum step step, int error, const char *detail)
{
	struct report *r = &c->shared->report;

	r->failed = true;
	r->failure = (struct failure){ .step = step, .error = error };
	snprintf(r->failure.detail, sizeof r->failure.detail, "%s", detail);
	_exit(127);
}

static void check(struct child *c, enum step step, int error, const char *detail)
{
	if (error)
		fail(c, step, error, detail);
}

static void record_phase(struct child *c, enum phase phase, uint64_t start, uint64_t end)
{
	c->shared->report.phases[phase] = (struct phase_time){ start, end };
}

/* Sets standard streams, signals, umask, OOM score and session. */
static void set_process(struct child *c)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	check(c, STEP_SYSTEM, dup2(null, 0) < 0 || dup2(c->out, 1) < 0 || dup2(c->err, 2) < 0 ? errno : 0, "streams");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	umask(022);
	write_file("/proc/self/oom_score_adj", "0");
	setsid();
}

static void prepare(struct child *c)
{
	/* Its own cgroup is the root of the one it sees. */
	check(c, STEP_MOUNT, unshare(CLONE_NEWCGROUP) < 0 ? errno : 0, "cgroup namespace");
	check(c, STEP_SYSTEM, accept_default_signals(), "signals");
	check(c, STEP_MOUNT, stage_kernel_filesystems(), "kernel file systems");
	check(c, STEP_MOUNT, make_upper_layer(), "upper layer");
	set_process(c);
}

static void await_start(struct child *c)
{
	static const uint8_t ready = 1;
	uint64_t start;

	check(c, STEP_SYSTEM, write(c->report, &ready, sizeof ready) < 0 ? errno : 0, "ready");
	check(c, STEP_SYSTEM, read(c->start, &start, sizeof start) < 0 ? errno : 0, "start");
}

static void mount_root(struct child *c, const char *hostname)
{
	const char *file;
	uint64_t disk_mounted;
	bool files_written;

	check(c, STEP_DISK, mount_image(c->shared->root_disk), "image");
	disk_mounted = now_us();
	record_phase(c, PHASE_DISK, c->shared->run_at_us, disk_mounted);
	check(c, STEP_MOUNT, adapt_upper_layer(hostname, &files_written), "upper layer");
	check(c, STEP_MOUNT, mount_overlay(), "overlay");
	check(c, STEP_MOUNT, enter_root(), "root");
	record_phase(c, PHASE_MOUNT, disk_mounted, now_us());
	if (!files_written) {
		int err = write_network_files(hostname, &file);

		check(c, STEP_FILES, err, file);
	}
}

static void find_user(struct child *c, const char *user, struct identity *who)
{
	char *passwd = read_text("/etc/passwd", ACCOUNTS_MAX), *group = read_text("/etc/group", ACCOUNTS_MAX);

	check(c, STEP_SYSTEM, passwd && group ? 0 : ENOMEM, "accounts");
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

static void set_credentials(struct child *c, const struct identity *who)
{
	/* The streams too: a program that opens /dev/stdout needs permission for the pipe. */
	bool is_root = who->uid == 0 && who->gid == 0;

	if (!is_root)
		check(c, STEP_SYSTEM, fchown(c->out, who->uid, who->gid) || fchown(c->err, who->uid, who->gid) ? errno : 0, "streams");
	check(c, STEP_SYSTEM, setgroups(who->group_count, who->groups) < 0 ? errno : 0, "setgroups");
	check(c, STEP_SYSTEM, setgid(who->gid) < 0 ? errno : 0, "setgid");
	check(c, STEP_SYSTEM, setuid(who->uid) < 0 ? errno : 0, "setuid");
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

static bool is_init(const char *program)
{
	const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;

	return strcmp(name, "init") == 0 || strcmp(name, "systemd") == 0;
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

void child_run(struct child *c)
{
	struct run_request r = { 0 };
	struct exec_attempt a = { .request = &r };
	struct identity who;
	const char *why;
	uint64_t start;
	int err;

	prepare(c);
	await_start(c);
	if (!run_request_parse(&r, c->shared->body, c->shared->len, &why))
		fail(c, STEP_REQUEST, 0, why);
	mount_root(c, r.hostname);
	start = now_us();
	for (char **volume = r.volumes; *volume; volume++)
		check(c, STEP_VOLUME, make_directories(*volume), *volume);
	find_user(c, r.user, &who);
	err = make_directories(r.working_dir);
	check(c, STEP_WORKING_DIR, err ? err : chdir(r.working_dir) < 0 ? errno : 0, r.working_dir);
	set_default(&r, "PATH", DEFAULT_PATH);
	set_default(&r, "HOME", who.home);
	set_default(&r, "HOSTNAME", r.hostname);
	/* Tells systemd not to manage hardware: see its container interface. */
	if (is_init(r.argv[0]))
		set_default(&r, "container", "windhover");
	set_credentials(c, &who);
	record_phase(c, PHASE_EXEC, start, now_us());
	err = search_and_exec(r.argv[0], env_get(r.envp, "PATH"), try_exec, &a);
	fail(c, STEP_EXEC, err, a.detail[0] ? a.detail : r.argv[0]);
}
