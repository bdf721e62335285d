/*
 * Stands between a program and the system's resolver, for one name, which has no address but here. Where the file that LOOKUPS_SILENT
 * names is there, no name server answers: whoever asks for the name waits as long as glibc does for one by default.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    lookup *system_lookup = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *silent = getenv("LOOKUPS_SILENT");

    if (name == NULL || silent == NULL || strcmp(name, "part.example") != 0)
        return system_lookup(name, service, hints, found);
    for (int attempt = 0; attempt < 2; attempt++) {
        if (access(silent, F_OK) != 0)
            return system_lookup("127.0.0.1", service, hints, found);
        sleep(5);
    }
    return EAI_AGAIN;
}
