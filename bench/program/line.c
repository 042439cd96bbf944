/*
 * What every contender runs: says one line at once, then waits until it is asked to end. Static and small, so that what is measured
 * is the way to it and not its own start.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char line[] = "windhover-bench: running\n";

int main(void)
{
	sigset_t ends;
	int signal;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	/* Blocked before the line is out: whoever has read it may signal. */
	if (sigprocmask(SIG_BLOCK, &ends, NULL) < 0)
		return 1;
	if (write(STDOUT_FILENO, line, sizeof line - 1) != (ssize_t)(sizeof line - 1))
		return 1;
	return sigwait(&ends, &signal) == 0 ? 0 : 1;
}
