/* Copyright: plantops.imaging contributors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Stands in for vssapi.dll in the double. The tables of functions come from mingw's vsbackup.h and vss.h, so that a call of a
 * wrong slot or with other arguments does not get through. Each call is a line of C:\vss\log.txt. The shadow copies are files
 * C:\vss\shadow-N.txt: process, set, id, volume. It is as strict as the service is told to be: calls out of order fail, a set
 * that is neither made nor aborted blocks every later one, and shadow copies end with their requester.
 *
 * The environment says what goes wrong, entries with commas between them:
 *   PLANTOPS_VSS_FAIL     Method:times:code, or Method@:times:code for what IVssAsync tells in the end
 *   PLANTOPS_VSS_KILL     Method: the process ends in the call, or Method@: in the wait for it
 *   PLANTOPS_VSS_PENDING  Method:polls that tell that it is not finished
 *   PLANTOPS_VSS_WRITERS  Name:state:code
 *   PLANTOPS_VSS_KEEP     shadow copies of a process that was killed stay
 *   PLANTOPS_VSS_UNSUPPORTED  volumes
 */
#define COBJMACROS
#define CINTERFACE
#include <windows.h>
#include <stdio.h>
#include <stdarg.h>
#include <string.h>
#include <stdlib.h>
#include <vss.h>
#include <vswriter.h>
#include <vsbackup.h>
#include <vsserror.h>

enum { NEW, READY, STARTED, PREPARED, MADE, ENDED };
typedef struct { IVssBackupComponents base; int state, gathered, context_set; LONG context; GUID set; int added; GUID ids[16]; wchar_t volumes[16][80]; } Requester;
typedef struct { IVssAsync base; const char *name; int polls; HRESULT result; Requester *who; int cancelled; } Async;
typedef struct { IVssEnumObject base; int at, count; VSS_SNAPSHOT_PROP all[64]; } Listing;

static void say(const char *format, ...)
{
    FILE *log = fopen("C:\\vss\\log.txt", "ab");
    va_list arguments;
    if (!log) return;
    va_start(arguments, format);
    vfprintf(log, format, arguments);
    va_end(arguments);
    fputc('\n', log);
    fclose(log);
}

static const char *text_of(GUID id)
{
    static char texts[4][40];
    static int next;
    char *text = texts[next++ & 3];
    sprintf(text, "%08lx-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", id.Data1, id.Data2, id.Data3, id.Data4[0], id.Data4[1],
            id.Data4[2], id.Data4[3], id.Data4[4], id.Data4[5], id.Data4[6], id.Data4[7]);
    return text;
}

static int asked(const char *variable, const char *name, char *rest, int size)
{
    char all[2048], *one;
    if (!GetEnvironmentVariableA(variable, all, sizeof all)) return 0;
    for (one = strtok(all, ","); one; one = strtok(NULL, ",")) {
        size_t length = strcspn(one, ":");
        if (length == strlen(name) && !strncmp(one, name, length)) {
            snprintf(rest, size, "%s", one[length] ? one + length + 1 : "");
            return 1;
        }
    }
    return 0;
}

/* What a call answers in place of success: counted down for each name, 0 for none. */
static HRESULT wrong(const char *name)
{
    static struct { char name[48]; int done; } counts[64];
    char rest[64];
    int number, times = 1;
    unsigned long code = 0;
    if (asked("PLANTOPS_VSS_KILL", name, rest, sizeof rest)) {
        say("killed in %s", name);
        TerminateProcess(GetCurrentProcess(), 77);
    }
    if (!asked("PLANTOPS_VSS_FAIL", name, rest, sizeof rest)) return 0;
    sscanf(rest, "%d:%lx", &times, &code);
    for (number = 0; counts[number].name[0] && strcmp(counts[number].name, name); number++) {}
    strcpy(counts[number].name, name);
    return counts[number].done++ < times ? (HRESULT)code : 0;
}

static const char *name_of(const char *format)
{
    static char name[48];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(format, " "), format);
    return name;
}

#define ENTER(format, ...) HRESULT bad; say(format, ##__VA_ARGS__); bad = wrong(name_of(format)); if (bad) return bad

/* -- the files -- */

static int read_shadow(int number, unsigned long *pid, char *set, char *id, char *volume)
{
    char path[64];
    FILE *file;
    int count;
    sprintf(path, "C:\\vss\\shadow-%d.txt", number);
    file = fopen(path, "rb");
    if (!file) return 0;
    count = fscanf(file, "%lu %39s %39s %79s", pid, set, id, volume);
    fclose(file);
    return count == 4;
}

static int delete_shadow(int number)
{
    char path[64];
    sprintf(path, "C:\\vss\\shadow-%d.txt", number);
    return DeleteFileA(path) != 0;
}

static int is_running(unsigned long pid)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, pid);
    int running = process && WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
    if (process) CloseHandle(process);
    return running;
}

/* The service's own clean-up after a requester that died. */
static void reap(void)
{
    unsigned long pid;
    char set[40], id[40], volume[80];
    int number;
    FILE *file = fopen("C:\\vss\\in-progress.txt", "rb");
    if (file) {
        int count = fscanf(file, "%lu", &pid);
        fclose(file);
        if (count == 1 && pid && !is_running(pid)) DeleteFileA("C:\\vss\\in-progress.txt");
    }
    if (GetEnvironmentVariableA("PLANTOPS_VSS_KEEP", set, sizeof set)) return;
    for (number = 1; number < 1000; number++)
        if (read_shadow(number, &pid, set, id, volume) && pid && !is_running(pid)) delete_shadow(number);
}

static int delete_set(GUID set)
{
    unsigned long pid;
    char found[40], id[40], volume[80];
    int number, count = 0;
    for (number = 1; number < 1000; number++)
        if (read_shadow(number, &pid, found, id, volume) && !strcmp(found, text_of(set))) count += delete_shadow(number);
    return count;
}

static wchar_t *wide(const char *text)
{
    wchar_t *made = CoTaskMemAlloc(2 * (strlen(text) + 1));
    MultiByteToWideChar(CP_ACP, 0, text, -1, made, (int)strlen(text) + 1);
    return made;
}

static GUID guid_of(const char *text)
{
    wchar_t braced[48], *inner = wide(text);
    GUID id;
    _snwprintf(braced, 48, L"{%ls}", inner);
    CoTaskMemFree(inner);
    CLSIDFromString(braced, &id);
    return id;
}

static int describe(int number, VSS_SNAPSHOT_PROP *answer)
{
    unsigned long pid;
    char set[40], id[40], volume[80], device[80];
    if (!read_shadow(number, &pid, set, id, volume)) return 0;
    sprintf(device, "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy%d", number);
    memset(answer, 0, sizeof *answer);
    answer->m_SnapshotId = guid_of(id);
    answer->m_SnapshotSetId = guid_of(set);
    answer->m_lSnapshotsCount = 1;
    answer->m_pwszSnapshotDeviceObject = wide(device);
    answer->m_pwszOriginalVolumeName = wide(volume);
    answer->m_tsCreationTimestamp = 0x1122334455667788LL;
    answer->m_eStatus = VSS_SS_CREATED;
    return 1;
}

/* -- IVssAsync -- */

static HRESULT WINAPI async_interface(IVssAsync *this, REFIID id, void **answer) { *answer = this; return S_OK; }
static ULONG WINAPI async_more(IVssAsync *this) { return 2; }
static ULONG WINAPI async_release(IVssAsync *this) { say("%s.Release", ((Async *)this)->name); free(this); return 0; }
static HRESULT WINAPI async_cancel(IVssAsync *this) { ((Async *)this)->cancelled = 1; say("%s.Cancel", ((Async *)this)->name); return S_OK; }
static HRESULT WINAPI async_wait(IVssAsync *this, DWORD milliseconds) { say("%s.Wait %lu", ((Async *)this)->name, milliseconds); return S_OK; }
static HRESULT WINAPI async_status(IVssAsync *this, HRESULT *answer, INT *reserved)
{
    Async *me = (Async *)this;
    if (reserved) return E_INVALIDARG;
    *answer = me->polls-- > 0 && !me->cancelled ? VSS_S_ASYNC_PENDING : me->result;
    say("%s.QueryStatus %08lx", me->name, (unsigned long)*answer);
    return S_OK;
}
static IVssAsyncVtbl async_table = {
    .QueryInterface = async_interface, .AddRef = async_more, .Release = async_release,
    .Cancel = async_cancel, .Wait = async_wait, .QueryStatus = async_status,
};

static HRESULT begin(const char *name, Requester *who, IVssAsync **answer)
{
    char rest[64], waited[48];
    Async *made = calloc(1, sizeof *made);
    HRESULT bad;
    sprintf(waited, "%s@", name);
    bad = wrong(waited);
    made->base.lpVtbl = &async_table;
    made->name = name;
    made->who = who;
    made->result = bad ? bad : VSS_S_ASYNC_FINISHED;
    made->polls = asked("PLANTOPS_VSS_PENDING", name, rest, sizeof rest) ? atoi(rest) : 0;
    *answer = &made->base;
    return bad;
}

/* -- IVssEnumObject -- */

static ULONG WINAPI list_release(IVssEnumObject *this) { say("Enum.Release"); free(this); return 0; }
static HRESULT WINAPI list_next(IVssEnumObject *this, ULONG wanted, VSS_OBJECT_PROP *answer, ULONG *fetched)
{
    Listing *me = (Listing *)this;
    *fetched = 0;
    if (wanted != 1) return E_INVALIDARG;
    if (me->at == me->count) return S_FALSE;
    answer->Type = VSS_OBJECT_SNAPSHOT;
    answer->Obj.Snap = me->all[me->at++];
    *fetched = 1;
    return S_OK;
}
static IVssEnumObjectVtbl list_table = {.Release = list_release, .Next = list_next};

/* -- IVssBackupComponents -- */

#define ME Requester *me = (Requester *)this
#define NEEDS(condition) if (!(condition)) { say("out of order"); return VSS_E_BAD_STATE; }

static HRESULT WINAPI requester_interface(IVssBackupComponents *this, REFIID id, void **answer) { *answer = this; return S_OK; }
static ULONG WINAPI requester_more(IVssBackupComponents *this) { return 2; }
static ULONG WINAPI requester_release(IVssBackupComponents *this)
{
    ME;
    say("Release");
    if (me->state >= STARTED && me->context == VSS_CTX_BACKUP) delete_set(me->set);
    free(me);
    return 0;
}
static HRESULT WINAPI initialize(IVssBackupComponents *this, BSTR document)
{
    ME;
    ENTER("InitializeForBackup %s", document ? "document" : "null");
    NEEDS(me->state == NEW);
    me->state = READY;
    return S_OK;
}
static HRESULT WINAPI set_context(IVssBackupComponents *this, LONG context)
{
    ME;
    ENTER("SetContext %ld", context);
    NEEDS(me->state == READY && !me->context_set);
    me->context = context;
    me->context_set = 1;
    return S_OK;
}
static HRESULT WINAPI set_state(IVssBackupComponents *this, boolean select, boolean bootable, VSS_BACKUP_TYPE type, boolean partial)
{
    ME;
    ENTER("SetBackupState %d %d %d %d", select, bootable, type, partial);
    NEEDS(me->state == READY && me->context_set);
    return S_OK;
}
static HRESULT WINAPI gather(IVssBackupComponents *this, IVssAsync **answer)
{
    ME;
    ENTER("GatherWriterMetadata");
    NEEDS(me->state == READY && me->context_set && !me->gathered);
    me->gathered = 1;
    begin("GatherWriterMetadata", me, answer);
    return S_OK;
}
static HRESULT WINAPI free_metadata(IVssBackupComponents *this) { ENTER("FreeWriterMetadata"); return S_OK; }
static HRESULT WINAPI start_set(IVssBackupComponents *this, VSS_ID *answer)
{
    ME;
    FILE *file;
    ENTER("StartSnapshotSet");
    NEEDS(me->state == READY && me->gathered);
    if (GetFileAttributesA("C:\\vss\\in-progress.txt") != INVALID_FILE_ATTRIBUTES) return VSS_E_SNAPSHOT_SET_IN_PROGRESS;
    file = fopen("C:\\vss\\in-progress.txt", "wb");
    fprintf(file, "%lu", GetCurrentProcessId());
    fclose(file);
    CoCreateGuid(&me->set);
    me->state = STARTED;
    *answer = me->set;
    return S_OK;
}
static HRESULT WINAPI add(IVssBackupComponents *this, VSS_PWSZ volume, VSS_ID provider, VSS_ID *answer)
{
    ME;
    ENTER("AddToSnapshotSet %ls %s", volume, text_of(provider));
    NEEDS(me->state == STARTED && me->added < 16);
    if (volume[wcslen(volume) - 1] != '\\') return VSS_E_OBJECT_NOT_FOUND;
    {
        char name[120], rest[64], narrow[80];
        snprintf(narrow, sizeof narrow, "%ls", volume);
        snprintf(name, sizeof name, "Add%c", narrow[strlen(narrow) - 3]); /* Add2: the volume whose name ends with 2} */
        if ((bad = wrong(name)) || asked("PLANTOPS_VSS_UNSUPPORTED", narrow, rest, sizeof rest))
            return bad ? bad : VSS_E_VOLUME_NOT_SUPPORTED;
    }
    CoCreateGuid(&me->ids[me->added]);
    _snwprintf(me->volumes[me->added], 80, L"%ls", volume);
    *answer = me->ids[me->added++];
    return S_OK;
}
static HRESULT WINAPI prepare(IVssBackupComponents *this, IVssAsync **answer)
{
    ME;
    ENTER("PrepareForBackup");
    NEEDS(me->state == STARTED && me->added);
    me->state = PREPARED;
    begin("PrepareForBackup", me, answer);
    return S_OK;
}
static HRESULT WINAPI make(IVssBackupComponents *this, IVssAsync **answer)
{
    ME;
    int number, one;
    ENTER("DoSnapshotSet");
    NEEDS(me->state == PREPARED);
    bad = begin("DoSnapshotSet", me, answer);
    if (bad) return S_OK;
    for (one = 0, number = 1; one < me->added; number++) {
        char path[64];
        FILE *file;
        sprintf(path, "C:\\vss\\shadow-%d.txt", number);
        if (GetFileAttributesA(path) != INVALID_FILE_ATTRIBUTES) continue;
        file = fopen(path, "wb");
        fprintf(file, "%lu %s %s %ls\n", GetCurrentProcessId(), text_of(me->set), text_of(me->ids[one]), me->volumes[one]);
        fclose(file);
        one++;
    }
    DeleteFileA("C:\\vss\\in-progress.txt");
    me->state = MADE;
    return S_OK;
}
static HRESULT WINAPI properties(IVssBackupComponents *this, VSS_ID id, VSS_SNAPSHOT_PROP *answer)
{
    unsigned long pid;
    char set[40], found[40], volume[80];
    int number;
    ENTER("GetSnapshotProperties %s", text_of(id));
    for (number = 1; number < 1000; number++)
        if (read_shadow(number, &pid, set, found, volume) && !strcmp(found, text_of(id)))
            return describe(number, answer) ? S_OK : VSS_E_OBJECT_NOT_FOUND;
    return VSS_E_OBJECT_NOT_FOUND;
}
static HRESULT WINAPI supported(IVssBackupComponents *this, VSS_ID provider, VSS_PWSZ volume, BOOL *answer)
{
    ME;
    char narrow[80], rest[64];
    ENTER("IsVolumeSupported %ls %s", volume, text_of(provider));
    NEEDS(me->state >= READY);
    snprintf(narrow, sizeof narrow, "%ls", volume);
    *answer = !asked("PLANTOPS_VSS_UNSUPPORTED", narrow, rest, sizeof rest);
    return S_OK;
}
static HRESULT WINAPI gather_status(IVssBackupComponents *this, IVssAsync **answer)
{
    ME;
    ENTER("GatherWriterStatus");
    begin("GatherWriterStatus", me, answer);
    return S_OK;
}
static int writers(char *name, int *state, unsigned long *code)
{
    char all[256];
    if (!GetEnvironmentVariableA("PLANTOPS_VSS_WRITERS", all, sizeof all)) return 0;
    return sscanf(all, "%63[^:]:%d:%lx", name, state, code) == 3;
}
static HRESULT WINAPI count_status(IVssBackupComponents *this, UINT *answer)
{
    char name[64];
    int state;
    unsigned long code;
    ENTER("GetWriterStatusCount");
    *answer = 1 + writers(name, &state, &code);
    return S_OK;
}
static HRESULT WINAPI status(IVssBackupComponents *this, UINT number, VSS_ID *instance, VSS_ID *writer, BSTR *name,
                             VSS_WRITER_STATE *state, HRESULT *failure)
{
    char text[64] = "System Writer";
    int found = VSS_WS_STABLE;
    unsigned long code = 0;
    wchar_t *inner;
    ENTER("GetWriterStatus %u", number);
    if (number) writers(text, &found, &code);
    inner = wide(text);
    CoCreateGuid(instance);
    CoCreateGuid(writer);
    *name = SysAllocString(inner);
    CoTaskMemFree(inner);
    *state = found;
    *failure = (HRESULT)code;
    return S_OK;
}
static HRESULT WINAPI free_status(IVssBackupComponents *this) { ENTER("FreeWriterStatus"); return S_OK; }
static HRESULT WINAPI abort_backup(IVssBackupComponents *this)
{
    ME;
    ENTER("AbortBackup");
    NEEDS(me->state >= STARTED && me->state != ENDED);
    if (me->state < MADE) DeleteFileA("C:\\vss\\in-progress.txt");
    me->state = ENDED;
    return S_OK;
}
static HRESULT WINAPI complete(IVssBackupComponents *this, IVssAsync **answer)
{
    ME;
    ENTER("BackupComplete");
    NEEDS(me->state == MADE);
    me->state = ENDED;
    begin("BackupComplete", me, answer);
    return S_OK;
}
static HRESULT WINAPI delete(IVssBackupComponents *this, VSS_ID id, VSS_OBJECT_TYPE type, BOOL force, LONG *count, VSS_ID *stays)
{
    ENTER("DeleteSnapshots %s %d %d", text_of(id), type, force);
    if (type != VSS_OBJECT_SNAPSHOT_SET || !force) return E_INVALIDARG;
    *count = delete_set(id);
    return *count ? S_OK : VSS_E_OBJECT_NOT_FOUND;
}
static HRESULT WINAPI query(IVssBackupComponents *this, VSS_ID id, VSS_OBJECT_TYPE asked_for, VSS_OBJECT_TYPE wanted, IVssEnumObject **answer)
{
    ME;
    Listing *made;
    int number;
    ENTER("Query %s %d %d", text_of(id), asked_for, wanted);
    NEEDS(me->context_set && me->context == VSS_CTX_ALL);
    if (asked_for != VSS_OBJECT_NONE || wanted != VSS_OBJECT_SNAPSHOT) return E_INVALIDARG;
    made = calloc(1, sizeof *made);
    made->base.lpVtbl = &list_table;
    for (number = 1; number < 1000 && made->count < 64; number++) made->count += describe(number, &made->all[made->count]);
    *answer = &made->base;
    return S_OK;
}
static IVssBackupComponentsVtbl requester_table = {
    .QueryInterface = requester_interface, .AddRef = requester_more, .Release = requester_release,
    .InitializeForBackup = initialize, .SetBackupState = set_state, .GatherWriterMetadata = gather,
    .FreeWriterMetadata = free_metadata, .PrepareForBackup = prepare, .AbortBackup = abort_backup,
    .GatherWriterStatus = gather_status, .GetWriterStatusCount = count_status, .FreeWriterStatus = free_status,
    .GetWriterStatus = status, .BackupComplete = complete, .SetContext = set_context, .StartSnapshotSet = start_set,
    .AddToSnapshotSet = add, .DoSnapshotSet = make, .DeleteSnapshots = delete, .GetSnapshotProperties = properties,
    .Query = query, .IsVolumeSupported = supported,
};

/* The header declares both with the same calling convention and types, or this does not compile. */
HRESULT STDAPICALLTYPE CreateVssBackupComponentsInternal(IVssBackupComponents **answer)
{
    Requester *made;
    ENTER("CreateVssBackupComponentsInternal");
    reap();
    made = calloc(1, sizeof *made);
    made->base.lpVtbl = &requester_table;
    *answer = &made->base;
    return S_OK;
}
void APIENTRY VssFreeSnapshotPropertiesInternal(VSS_SNAPSHOT_PROP *one)
{
    CoTaskMemFree(one->m_pwszSnapshotDeviceObject);
    CoTaskMemFree(one->m_pwszOriginalVolumeName);
    memset(one, 0, sizeof *one);
}

/* A process that ends in order without AbortBackup has left a set behind, which no later set gets past. */
BOOL WINAPI DllMain(HINSTANCE library, DWORD reason, void *reserved)
{
    FILE *file;
    unsigned long pid = 0;
    if (reason != DLL_PROCESS_DETACH) return TRUE;
    file = fopen("C:\\vss\\in-progress.txt", "rb");
    if (!file) return TRUE;
    if (fscanf(file, "%lu", &pid) == 1 && pid == GetCurrentProcessId()) {
        fclose(file);
        file = fopen("C:\\vss\\in-progress.txt", "wb");
        fprintf(file, "0");
    }
    fclose(file);
    return TRUE;
}
