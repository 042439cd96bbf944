#include "workload/process1.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024, CODE_OF_KERNEL = 1 };

pid_t fork_process1(int cgroup)
{
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_NEWNS | (cgroup < 0 ? 0 : CLONE_INTO_CGROUP),
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)(cgroup < 0 ? 0 : cgroup),
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static int set_handler(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaddset(&action.sa_mask, SIGSEGV);
	return sigaction(signal, &action, NULL);
}

static void never_called(int signal)
{
	(void)signal;
}

/* Discards the SIGSEGV that is pending. */
static void discard_fault(int signal)
{
	(void)signal;
	set_handler(SIGSEGV, SIG_IGN, 0);
}

static int queue_to_self(int signal)
{
	siginfo_t info = { .si_signo = signal, .si_code = CODE_OF_KERNEL };

	return (int)syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), signal, &info);
}

/*
 * The kernel withdraws the protection of a first process for good when it forces a fault on it that
 * no handler takes. Here SIGBUS causes that fault, as its handler's stack cannot be written, and
 * the handler of SIGTRAP, which is delivered before the fault, discards it.
 */
int accept_default_signals(void)
{
	void *unusable = mmap(NULL, STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = { .ss_sp = unusable, .ss_size = STACK_BYTES }, none = { .ss_flags = SS_DISABLE };
	sigset_t both, before;
	int err = 0;

	if (unusable == MAP_FAILED)
		return errno;
	sigemptyset(&both);
	sigaddset(&both, SIGBUS);
	sigaddset(&both, SIGTRAP);
	if (sigprocmask(SIG_BLOCK, &both, &before) < 0 || sigaltstack(&stack, NULL) < 0 || set_handler(SIGBUS, never_called, SA_ONSTACK) < 0 ||
	    set_handler(SIGTRAP, discard_fault, 0) < 0 || set_handler(SIGSEGV, SIG_DFL, 0) < 0 || queue_to_self(SIGBUS) < 0 || queue_to_self(SIGTRAP) < 0 ||
	    sigprocmask(SIG_UNBLOCK, &both, NULL) < 0)
		err = errno;
	set_handler(SIGBUS, SIG_DFL, 0);
	set_handler(SIGTRAP, SIG_DFL, 0);
	set_handler(SIGSEGV, SIG_DFL, 0);
	sigaltstack(&none, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	munmap(unusable, STACK_BYTES);
	return err;
}
