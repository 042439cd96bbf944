/* The program of all benchmarks: writes a line, then waits for a signal. Static and small, so that its own start takes no time. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char line[] = "windhover-bench: running\n";

int main(int argc, char **argv)
{
	sigset_t ends;
	int signal;

	(void)argv;
	/* A command that is run beside the program. */
	if (argc > 1)
		return 0;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	/* Before the line, whose reader may send the signal. */
	if (sigprocmask(SIG_BLOCK, &ends, NULL) < 0)
		return 1;
	if (write(STDOUT_FILENO, line, sizeof line - 1) != (ssize_t)(sizeof line - 1))
		return 1;
	return sigwait(&ends, &signal) == 0 ? 0 : 1;
}
