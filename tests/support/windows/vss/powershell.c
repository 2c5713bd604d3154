/* Copyright: plantops.imaging contributors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * PowerShell of the double, as far as the scripts for Win32_ShadowCopy go. Shadow copies are files as those of the service beside
 * it: C:\vss\shadow-N.txt. Lines of C:\vss\codes are what Create answers, one after the other; without one it is 0.
 */
#include <windows.h>
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const wchar_t *OPTIONS[] = {L"-NoLogo", L"-NoProfile", L"-NonInteractive", L"-ExecutionPolicy", L"Bypass", L"-Command"};

/* The text between a beginning and the next quote. */
static int quoted(const wchar_t *script, const wchar_t *beginning, char *found, int size)
{
    const wchar_t *at = wcsstr(script, beginning);
    const wchar_t *end;
    if (!at)
        return 0;
    at += wcslen(beginning);
    end = wcschr(at, L'\'');
    if (!end || end - at >= size)
        return 0;
    size = WideCharToMultiByte(CP_UTF8, 0, at, (int)(end - at), found, size - 1, NULL, NULL);
    found[size] = 0;
    return 1;
}

static int next_code(void)
{
    char rest[4096] = "", *line;
    int code;
    size_t length;
    FILE *file = fopen("C:\\vss\\codes", "r");
    if (!file)
        return 0;
    length = fread(rest, 1, sizeof(rest) - 1, file);
    rest[length] = 0;
    fclose(file);
    code = atoi(rest);
    line = strchr(rest, '\n');
    file = fopen("C:\\vss\\codes", "w");
    fputs(line ? line + 1 : "", file);
    fclose(file);
    return code;
}

static void create(const wchar_t *script, const char *volume)
{
    char path[64], id[40], key[128], owner[64];
    int number = 100, code = next_code();
    FILE *file;
    if (code) {
        printf("code=%d\n", code);
        return;
    }
    do
        sprintf(path, "C:\\vss\\shadow-%d.txt", ++number);
    while (GetFileAttributesA(path) != INVALID_FILE_ATTRIBUTES);
    sprintf(id, "77777777-0000-0000-0000-%012d", number);
    file = fopen(path, "w");
    fprintf(file, "0 %s %s %s\n", id, id, volume);
    fclose(file);
    printf("id=%s\n", id);
    fflush(stdout);
    if (!quoted(script, L"-Path 'HKLM:\\", key, sizeof(key)) || !quoted(script, L"-Value '", owner, sizeof(owner)) ||
        RegSetKeyValueA(HKEY_LOCAL_MACHINE, key, id, REG_SZ, owner, (DWORD)strlen(owner) + 1))
        printf("failed=the mark was not written\n");
}

static void each(const char *id, int is_deleting)
{
    char path[64], line[256];
    int number;
    for (number = 100; number < 200; number++) {
        FILE *file;
        sprintf(path, "C:\\vss\\shadow-%d.txt", number);
        file = fopen(path, "r");
        if (!file)
            continue;
        if (!fgets(line, sizeof(line), file))
            line[0] = 0;
        fclose(file);
        if (!strstr(line, id))
            continue;
        if (is_deleting)
            DeleteFileA(path);
        else
            printf("device=\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy%d\n", number);
    }
    printf(is_deleting ? "deleted=\n" : "listed=\n");
}

int main(void)
{
    int count, place;
    char text[256];
    wchar_t **words = CommandLineToArgvW(GetCommandLineW(), &count);
    const wchar_t *script;
    for (place = 0; place < 6; place++)
        if (count != 8 || wcscmp(words[place + 1], OPTIONS[place])) {
            printf("failed=unexpected arguments\n");
            return 1;
        }
    script = words[7];
    if (quoted(script, L".Create('", text, sizeof(text)))
        create(script, text);
    else if (quoted(script, L"where ID=''{", text, sizeof(text)))
        each(strtok(text, "}"), wcsstr(script, L".Delete()") != NULL);
    else {
        printf("failed=an unknown script\n");
        return 1;
    }
    return 0;
}
