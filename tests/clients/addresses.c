/* Prints the addresses of a name, as the C library that this is linked with finds them. */

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int count, char **words)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found, *each;
    char text[64];
    if (count != 2)
        return 1;
    int failed = getaddrinfo(words[1], NULL, &hints, &found);
    if (failed) {
        fprintf(stderr, "%s\n", gai_strerror(failed));
        return 2;
    }
    for (each = found; each; each = each->ai_next)
        if (!getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST))
            puts(text);
    return 0;
}
