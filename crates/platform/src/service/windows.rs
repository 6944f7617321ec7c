//! Services of Windows: the service control manager.

#![expect(unsafe_code, reason = "calls of Windows")]

#[path = "windows/event_source.rs"]
mod event_source;
#[path = "windows/host.rs"]
mod host;
#[path = "windows/rights.rs"]
mod rights;

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::ptr::{null, null_mut};
use std::thread;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_SERVICE_ALREADY_RUNNING, ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_NOT_ACTIVE,
};
use windows_sys::Win32::System::Services::{
    ChangeServiceConfig2W, ChangeServiceConfigW, CloseServiceHandle, ControlService,
    CreateServiceW, DeleteService, OpenSCManagerW, OpenServiceW, QUERY_SERVICE_CONFIGW,
    QueryServiceConfigW, QueryServiceStatus, SC_ACTION, SC_ACTION_RESTART, SC_HANDLE,
    SC_MANAGER_CONNECT, SC_MANAGER_CREATE_SERVICE, SERVICE_ALL_ACCESS, SERVICE_AUTO_START,
    SERVICE_CONFIG_DELAYED_AUTO_START_INFO, SERVICE_CONFIG_DESCRIPTION,
    SERVICE_CONFIG_FAILURE_ACTIONS, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG,
    SERVICE_CONFIG_PRESHUTDOWN_INFO, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO,
    SERVICE_CONFIG_SERVICE_SID_INFO, SERVICE_CONTINUE_PENDING, SERVICE_CONTROL_STOP,
    SERVICE_DELAYED_AUTO_START_INFO, SERVICE_DESCRIPTIONW, SERVICE_ERROR_NORMAL,
    SERVICE_FAILURE_ACTIONS_FLAG, SERVICE_FAILURE_ACTIONSW, SERVICE_PRESHUTDOWN_INFO,
    SERVICE_QUERY_STATUS, SERVICE_REQUIRED_PRIVILEGES_INFOW, SERVICE_RUNNING, SERVICE_SID_INFO,
    SERVICE_SID_TYPE_UNRESTRICTED, SERVICE_START, SERVICE_START_PENDING, SERVICE_STATUS,
    SERVICE_STOP, SERVICE_STOP_PENDING, SERVICE_STOPPED, SERVICE_WIN32_OWN_PROCESS, StartServiceW,
};

use super::{ACCOUNT, Change, Definition, STOP_SECS, State};

pub use host::{Host, host};
pub use rights::share;

/// How long a service may take until it runs.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long a removed service may take to be gone.
const GONE_DEADLINE: Duration = Duration::from_secs(5);
/// How often it is asked whether it has come to a state; there is nothing to wait on.
const POLL: Duration = Duration::from_millis(100);
/// After so long without a failure, in seconds, the first restart comes quickly again.
const FAILURES_FORGOTTEN_SECS: u32 = 24 * 60 * 60;
/// All that a program needs that does nothing special: to pass through folders.
const PRIVILEGE: &str = "SeChangeNotifyPrivilege";

pub fn install(definition: &Definition) -> io::Result<Change> {
    let manager = manager(SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE)?;
    let earlier = open(&manager, &definition.name, SERVICE_ALL_ACCESS)?;
    let change = match &earlier {
        Some(service) if binary_path(service)? == definition.command_line()? => Change::Nothing,
        Some(_) => Change::Updated,
        None => Change::Installed,
    };
    let service = match earlier {
        Some(service) => {
            reconfigure(&service, definition)?;
            service
        }
        None => create(&manager, definition)?,
    };
    // Also where nothing has changed: an earlier run may have been cut off here.
    configure(&service, definition)?;
    event_source::register(&definition.name)?;
    rights::grant(definition)?;
    Ok(change)
}

pub fn uninstall(name: &str) -> io::Result<bool> {
    let manager = manager(SC_MANAGER_CONNECT)?;
    let Some(service) = open(&manager, name, SERVICE_ALL_ACCESS)? else { return Ok(false) };
    stop_and_wait(&service)?;
    // SAFETY: the handle is open.
    done(unsafe { DeleteService(service.0) })?;
    drop(service);
    event_source::remove(name)?;
    wait_until_gone(&manager, name)?;
    Ok(true)
}

/// A service goes once nobody looks at it any more, as its manager's window may do: that is not
/// waited for longer than a moment.
#[expect(clippy::disallowed_methods, reason = "the manager has no level that could be waited on")]
fn wait_until_gone(manager: &Handle, name: &str) -> io::Result<()> {
    let start = Instant::now();
    while open(manager, name, SERVICE_QUERY_STATUS)?.is_some() && start.elapsed() < GONE_DEADLINE {
        thread::sleep(POLL);
    }
    Ok(())
}

pub fn start(name: &str) -> io::Result<()> {
    let service = existing(name, SERVICE_START | SERVICE_QUERY_STATUS)?;
    // SAFETY: the handle is open; without arguments the array may be null.
    match done(unsafe { StartServiceW(service.0, 0, null()) }) {
        Err(error) if is(&error, ERROR_SERVICE_ALREADY_RUNNING) => {}
        other => other?,
    }
    let state = wait_while(&service, SERVICE_START_PENDING, START_DEADLINE)?;
    if state == SERVICE_RUNNING {
        return Ok(());
    }
    Err(io::Error::other("the service ended at once; its log says why"))
}

pub fn stop(name: &str) -> io::Result<()> {
    stop_and_wait(&existing(name, SERVICE_STOP | SERVICE_QUERY_STATUS)?)
}

pub fn state(name: &str) -> io::Result<State> {
    let manager = manager(SC_MANAGER_CONNECT)?;
    let Some(service) = open(&manager, name, SERVICE_QUERY_STATUS)? else {
        return Ok(State::NotInstalled);
    };
    let status = status(&service)?;
    Ok(match status.dwCurrentState {
        SERVICE_RUNNING | SERVICE_CONTINUE_PENDING => State::Running,
        SERVICE_START_PENDING => State::Starting,
        SERVICE_STOP_PENDING => State::Stopping,
        _ => State::Stopped,
    })
}

/// A handle of the service control manager.
struct Handle(SC_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle was open, and is not used any more.
        unsafe { CloseServiceHandle(self.0) };
    }
}

fn manager(access: u32) -> io::Result<Handle> {
    // SAFETY: null names this machine and its own database.
    opened(unsafe { OpenSCManagerW(null(), null(), access) })
}

fn open(manager: &Handle, name: &str, access: u32) -> io::Result<Option<Handle>> {
    let name = wide(name);
    // SAFETY: the handle is open and the name NUL-terminated.
    match opened(unsafe { OpenServiceW(manager.0, name.as_ptr(), access) }) {
        Ok(service) => Ok(Some(service)),
        Err(error) if is(&error, ERROR_SERVICE_DOES_NOT_EXIST) => Ok(None),
        Err(error) => Err(error),
    }
}

fn existing(name: &str, access: u32) -> io::Result<Handle> {
    let service = open(&manager(SC_MANAGER_CONNECT)?, name, access)?;
    service.ok_or_else(|| io::Error::from_raw_os_error(ERROR_SERVICE_DOES_NOT_EXIST as i32))
}

fn create(manager: &Handle, definition: &Definition) -> io::Result<Handle> {
    let (name, title) = (wide(&definition.name), wide(&definition.title));
    let command = wide(&definition.command_line()?);
    let account = wide(format!("{ACCOUNT}{}", definition.name));
    // SAFETY: the handle is open, all texts are NUL-terminated, and the rest may be null.
    opened(unsafe {
        CreateServiceW(
            manager.0,
            name.as_ptr(),
            title.as_ptr(),
            SERVICE_ALL_ACCESS,
            SERVICE_WIN32_OWN_PROCESS,
            SERVICE_AUTO_START,
            SERVICE_ERROR_NORMAL,
            command.as_ptr(),
            null(),
            null_mut(),
            null(),
            account.as_ptr(),
            null(),
        )
    })
}

fn reconfigure(service: &Handle, definition: &Definition) -> io::Result<()> {
    let (title, command) = (wide(&definition.title), wide(&definition.command_line()?));
    let account = wide(format!("{ACCOUNT}{}", definition.name));
    // SAFETY: the handle is open, all texts are NUL-terminated, and the rest may be null.
    done(unsafe {
        ChangeServiceConfigW(
            service.0,
            SERVICE_WIN32_OWN_PROCESS,
            SERVICE_AUTO_START,
            SERVICE_ERROR_NORMAL,
            command.as_ptr(),
            null(),
            null_mut(),
            null(),
            account.as_ptr(),
            null(),
            title.as_ptr(),
        )
    })
}

/// What `CreateServiceW` has no parameter for.
fn configure(service: &Handle, definition: &Definition) -> io::Result<()> {
    let mut description = wide(&definition.description);
    let description = SERVICE_DESCRIPTIONW { lpDescription: description.as_mut_ptr() };
    set(service, SERVICE_CONFIG_DESCRIPTION, &description)?;
    let delayed = SERVICE_DELAYED_AUTO_START_INFO { fDelayedAutostart: 1 };
    set(service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &delayed)?;
    let mut actions = Definition::restart_delays_ms()
        .map(|delay| SC_ACTION { Type: SC_ACTION_RESTART, Delay: delay });
    let failure = SERVICE_FAILURE_ACTIONSW {
        dwResetPeriod: FAILURES_FORGOTTEN_SECS,
        cActions: actions.len() as u32,
        lpsaActions: actions.as_mut_ptr(),
        ..SERVICE_FAILURE_ACTIONSW::default()
    };
    set(service, SERVICE_CONFIG_FAILURE_ACTIONS, &failure)?;
    // Also where it ends by itself with an error.
    let also = SERVICE_FAILURE_ACTIONS_FLAG { fFailureActionsOnNonCrashFailures: 1 };
    set(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &also)?;
    let shutdown = SERVICE_PRESHUTDOWN_INFO { dwPreshutdownTimeout: STOP_SECS as u32 * 1000 };
    set(service, SERVICE_CONFIG_PRESHUTDOWN_INFO, &shutdown)?;
    let sid = SERVICE_SID_INFO { dwServiceSidType: SERVICE_SID_TYPE_UNRESTRICTED };
    set(service, SERVICE_CONFIG_SERVICE_SID_INFO, &sid)?;
    // A list of texts ends with an empty one.
    let mut privileges: Vec<u16> = PRIVILEGE.encode_utf16().chain([0, 0]).collect();
    let privileges =
        SERVICE_REQUIRED_PRIVILEGES_INFOW { pmszRequiredPrivileges: privileges.as_mut_ptr() };
    set(service, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO, &privileges)
}

/// `level` must be the one whose structure `T` is.
fn set<T>(service: &Handle, level: u32, value: &T) -> io::Result<()> {
    // SAFETY: the handle is open, and all callers pass the structure that belongs to the level;
    // what it points to outlives the call.
    match done(unsafe { ChangeServiceConfig2W(service.0, level, (&raw const *value).cast()) }) {
        // A Windows, or what stands in for one, that has no such setting runs the service without.
        Err(error) if error.raw_os_error() == Some(INVALID_LEVEL) => Ok(()),
        other => other,
    }
}

/// `ERROR_INVALID_LEVEL`
const INVALID_LEVEL: i32 = 124;

/// The command line that the manager has.
fn binary_path(service: &Handle) -> io::Result<String> {
    // Aligned for the structure; 8 KB is the most that the call ever asks for.
    let mut buffer = [0u64; 1024];
    let mut needed = 0;
    let config: *mut QUERY_SERVICE_CONFIGW = buffer.as_mut_ptr().cast();
    let bytes = size_of_val(&buffer) as u32;
    // SAFETY: the handle is open and the buffer has the size that is told.
    done(unsafe { QueryServiceConfigW(service.0, config, bytes, &raw mut needed) })?;
    // SAFETY: the call has filled the structure in; its text lies in the buffer, NUL-terminated.
    unsafe {
        let start = (*config).lpBinaryPathName;
        let length = (0..).take_while(|place| *start.add(*place) != 0).count();
        Ok(String::from_utf16_lossy(std::slice::from_raw_parts(start, length)))
    }
}

fn stop_and_wait(service: &Handle) -> io::Result<()> {
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open and the structure can be written.
    let asked = done(unsafe { ControlService(service.0, SERVICE_CONTROL_STOP, &raw mut status) });
    match asked {
        Err(error) if is(&error, ERROR_SERVICE_NOT_ACTIVE) => return Ok(()),
        other => other?,
    }
    wait_while(service, SERVICE_RUNNING, Duration::from_secs(STOP_SECS))?;
    match wait_while(service, SERVICE_STOP_PENDING, Duration::from_secs(2 * STOP_SECS))? {
        SERVICE_STOPPED => Ok(()),
        _ => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Waits as long as the service is in a state; the state that it is in then.
#[expect(clippy::disallowed_methods, reason = "the manager has no level that could be waited on")]
fn wait_while(service: &Handle, state: u32, deadline: Duration) -> io::Result<u32> {
    let start = Instant::now();
    loop {
        let current = status(service)?.dwCurrentState;
        if current != state {
            return Ok(current);
        }
        if start.elapsed() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(POLL);
    }
}

fn status(service: &Handle) -> io::Result<SERVICE_STATUS> {
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open and the structure can be written.
    done(unsafe { QueryServiceStatus(service.0, &raw mut status) })?;
    Ok(status)
}

fn opened(handle: SC_HANDLE) -> io::Result<Handle> {
    if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Handle(handle)) }
}

fn done(outcome: i32) -> io::Result<()> {
    if outcome == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code as i32)
}

fn wide(text: impl AsRef<OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}
