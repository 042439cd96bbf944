#include "exec/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec/command.h"
#include "exec/processes.h"
#include "system/proc.h"
#include "system/sys.h"
#include "workload/cgroup.h"

static pid_t fork_into(int cgroup)
{
	struct clone_args args = {
		.flags = cgroup < 0 ? 0 : CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)(cgroup < 0 ? 0 : cgroup),
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int open_root(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * Forks a child in the workload's PID namespace. The init itself joins it for that moment, as far as
 * its children are concerned. Returns as fork(2) does.
 */
static pid_t fork_beside(const struct exec_target *target, int workload, int self)
{
	pid_t pid;
	int err, cgroup;

	if (setns(workload, CLONE_NEWPID) < 0)
		return -1;
	pid = fork_into(target->cgroup);
	if (pid < 0 && errno == EBUSY) {
		/* The workload has divided its cgroup, so that the upper one takes no process. */
		cgroup = open_cgroup_of(target->pid);
		pid = fork_into(cgroup);
		if (pid != 0)
			close_fd(&cgroup);
	}
	if (pid == 0)
		return 0;
	err = errno;
	if (setns(self, CLONE_NEWPID) < 0)
		log_kernel("could not leave the workload's PID namespace: %s", strerror(errno));
	errno = err;
	return pid;
}

static bool open_streams(const struct exec_options *options, struct exec_fds *ours, struct exec_fds *theirs)
{
	int report[2], in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	bool ok = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) == 0;

	if (!ok)
		report[0] = report[1] = -1;
	if (ok && !options->is_terminal)
		ok = pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 && (!options->has_input || pipe2(in, O_CLOEXEC) == 0);
	*ours = (struct exec_fds){ report[0], in[1], out[0], err[0] };
	*theirs = (struct exec_fds){ report[1], in[0], out[1], err[1] };
	return ok;
}

static void close_streams(struct exec_fds *fds)
{
	close_fd(&fds->report);
	close_fd(&fds->in);
	close_fd(&fds->out);
	close_fd(&fds->err);
}

pid_t spawn_command(const struct exec_target *target, const struct exec_options *options, struct exec_fds *fds)
{
	struct exec_fds theirs;
	int self = open_pidfd(getpid()), workload = open_pidfd(target->pid), root = open_root(target->pid), err = ESRCH;
	pid_t pid = -1;

	if (open_streams(options, fds, &theirs) && self >= 0 && workload >= 0 && root >= 0) {
		pid = fork_beside(target, workload, self);
		if (pid == 0)
			command_run(&(struct command){ target->request, options, theirs, workload, root });
		err = errno;
	} else {
		err = errno;
	}
	close_streams(&theirs);
	close_fd(&self);
	close_fd(&workload);
	close_fd(&root);
	if (pid < 0)
		close_streams(fds);
	return pid < 0 ? -err : pid;
}

pid_t spawn_list(const struct exec_target *target, struct exec_fds *fds)
{
	int out[2];
	pid_t pid;

	*fds = (struct exec_fds){ -1, -1, -1, -1 };
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		set_realtime(false);
		_exit(list_processes(target->pid, out[1]) ? 0 : 1);
	}
	close(out[1]);
	fds->out = out[0];
	if (pid < 0)
		close_streams(fds);
	return pid < 0 ? -errno : pid;
}

void spawn_killer(pid_t session)
{
	if (fork() == 0) {
		kill_members(session);
		_exit(0);
	}
}
