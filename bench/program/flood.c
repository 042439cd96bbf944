/* A guest that writes empty log lines as fast as it is read. */
#include <string.h>
#include <unistd.h>

int main(void)
{
	char lines[4096];

	memset(lines, '\n', sizeof lines);
	for (;;)
		if (write(STDOUT_FILENO, lines, sizeof lines) < 0)
			return 1;
}
