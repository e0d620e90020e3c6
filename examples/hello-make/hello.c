/* The smallest web application: says hello, and which version of it answers. Needs nothing but libc. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VERSION "1"

static const char body[] = "Hello from Karreg, version " VERSION "\n";

static void stop(int number) {
  (void)number;
  _exit(0);
}

/* Reads a head, answers, and closes. */
static void answer(int client) {
  char head[8192];
  size_t size = 0;
  while (size < sizeof head - 1) {
    ssize_t n = read(client, head + size, sizeof head - 1 - size);
    if (n <= 0) return;
    size += (size_t)n;
    head[size] = '\0';
    if (strstr(head, "\r\n\r\n") != NULL) break;
  }
  dprintf(client,
          "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
          sizeof body - 1, body);
}

int main(void) {
  signal(SIGTERM, stop);
  signal(SIGPIPE, SIG_IGN);
  const char *port = getenv("PORT");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port ? port : "8080"))};
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 128) != 0) {
    perror("listening");
    return 1;
  }
  printf("version %s listens on port %s\n", VERSION, port ? port : "8080");
  fflush(stdout);
  for (;;) {
    int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    answer(client);
    close(client);
  }
}
