//! The process of a service: tells the service control manager how it is, and hears when to stop.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::ffi::c_void;
use std::io;
use std::process;
use std::ptr::null;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_CALL_NOT_IMPLEMENTED, ERROR_SERVICE_SPECIFIC_ERROR, NO_ERROR,
};
use windows_sys::Win32::System::Services::{
    RegisterServiceCtrlHandlerExW, SERVICE_ACCEPT_PRESHUTDOWN, SERVICE_ACCEPT_SHUTDOWN,
    SERVICE_ACCEPT_STOP, SERVICE_CONTROL_INTERROGATE, SERVICE_CONTROL_PRESHUTDOWN,
    SERVICE_CONTROL_SHUTDOWN, SERVICE_CONTROL_STOP, SERVICE_RUNNING, SERVICE_START_PENDING,
    SERVICE_STATUS, SERVICE_STATUS_HANDLE, SERVICE_STOP_PENDING, SERVICE_STOPPED,
    SERVICE_TABLE_ENTRYW, SERVICE_WIN32_OWN_PROCESS, SetServiceStatus, StartServiceCtrlDispatcherW,
};

use super::super::STOP_SECS;
use super::{done, wide};

/// How long each step of a start may take, as the manager is told.
const START_HINT: Duration = Duration::from_secs(20);
/// The service ends itself a little before its time is up, so that the manager hears of it.
const LAST_MOMENT: Duration = Duration::from_millis(STOP_SECS * 1000 - 1000);

/// What the body of a service tells, and asks, of it.
#[derive(Debug, Clone, Copy)]
pub struct Host(());

type Body = Box<dyn FnOnce(Host) -> u32 + Send>;
type OnStop = Box<dyn Fn() + Send>;

/// The one service of this process.
struct Service {
    name: String,
    body: Mutex<Option<Body>>,
    state: Mutex<Told>,
}

/// What the manager was told last.
struct Told {
    /// Of the manager; an address that is only handed back to it.
    handle: usize,
    state: u32,
    checkpoint: u32,
    on_stop: Option<OnStop>,
}

static SERVICE: OnceLock<Service> = OnceLock::new();

/// Runs `body` as the service `name`, if the service control manager has started this process; its
/// exit code, as it was told to the manager. The body must end soon after what it set by
/// [`Host::on_stop`] was called; else the process is ended.
///
/// # Errors
///
/// What the system said, as where nobody but a person has started this process.
pub fn host(name: &str, body: impl FnOnce(Host) -> u32 + Send + 'static) -> io::Result<()> {
    let told = Told { handle: 0, state: SERVICE_START_PENDING, checkpoint: 0, on_stop: None };
    let service = Service {
        name: name.to_owned(),
        body: Mutex::new(Some(Box::new(body))),
        state: Mutex::new(told),
    };
    if SERVICE.set(service).is_err() {
        return Err(io::Error::other("this process is a service already"));
    }
    let mut name = wide(name);
    let entry = |name, main| SERVICE_TABLE_ENTRYW { lpServiceName: name, lpServiceProc: main };
    let table = [entry(name.as_mut_ptr(), Some(main as _)), entry(std::ptr::null_mut(), None)];
    // SAFETY: the table ends with an empty entry, and all of it outlives the call, which returns
    // when the service has stopped.
    done(unsafe { StartServiceCtrlDispatcherW(table.as_ptr()) })
}

impl Host {
    /// Tells that the start goes on, so that the manager gives it more time.
    pub fn is_starting(self) {
        tell(SERVICE_START_PENDING, 0);
    }

    /// Tells that the service runs.
    pub fn is_running(self) {
        tell(SERVICE_RUNNING, 0);
    }

    /// What is to be called when the service shall stop; at once, if that is so already.
    pub fn on_stop(self, call: impl Fn() + Send + 'static) {
        let Some(service) = SERVICE.get() else { return };
        let mut told = lock(&service.state);
        if told.state == SERVICE_STOP_PENDING {
            call();
        }
        told.on_stop = Some(Box::new(call));
    }
}

/// What the dispatcher calls on a thread of its own.
unsafe extern "system" fn main(_count: u32, _arguments: *mut *mut u16) {
    let Some(service) = SERVICE.get() else { return };
    let name = wide(&service.name);
    // SAFETY: the name is NUL-terminated, and the handler needs no context.
    let handle = unsafe { RegisterServiceCtrlHandlerExW(name.as_ptr(), Some(control), null()) };
    if handle.is_null() {
        return;
    }
    lock(&service.state).handle = handle as usize;
    tell(SERVICE_START_PENDING, 0);
    let body = lock(&service.body).take();
    let code = body.map_or(0, |body| body(Host(())));
    tell(SERVICE_STOPPED, code);
}

/// What the manager calls, on the dispatcher's thread.
unsafe extern "system" fn control(
    control: u32,
    _kind: u32,
    _data: *mut c_void,
    _context: *mut c_void,
) -> u32 {
    match control {
        SERVICE_CONTROL_STOP | SERVICE_CONTROL_SHUTDOWN | SERVICE_CONTROL_PRESHUTDOWN => {
            stop();
            NO_ERROR
        }
        SERVICE_CONTROL_INTERROGATE => NO_ERROR,
        _ => ERROR_CALL_NOT_IMPLEMENTED,
    }
}

fn stop() {
    tell(SERVICE_STOP_PENDING, 0);
    // Whatever the body does survives being killed; what it must not do is to go on for longer.
    thread::spawn(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "a deadline: the process ends before it, or at it"
        )]
        thread::sleep(LAST_MOMENT);
        tell(SERVICE_STOPPED, 0);
        process::exit(0);
    });
    if let Some(service) = SERVICE.get()
        && let Some(call) = &lock(&service.state).on_stop
    {
        call();
    }
}

/// Tells the manager a state, with a checkpoint that grows while the state stays.
fn tell(state: u32, exit_code: u32) {
    let Some(service) = SERVICE.get() else { return };
    let mut told = lock(&service.state);
    // What has stopped stays so, and what stops does not run again.
    if told.state == SERVICE_STOPPED
        || (told.state == SERVICE_STOP_PENDING && state != SERVICE_STOPPED)
    {
        return;
    }
    let hint = match state {
        SERVICE_START_PENDING => START_HINT,
        SERVICE_STOP_PENDING => Duration::from_secs(STOP_SECS),
        _ => Duration::ZERO,
    };
    told.checkpoint = if hint.is_zero() { 0 } else { told.checkpoint + 1 };
    told.state = state;
    let accepted = SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN | SERVICE_ACCEPT_PRESHUTDOWN;
    let status = SERVICE_STATUS {
        dwServiceType: SERVICE_WIN32_OWN_PROCESS,
        dwCurrentState: state,
        dwControlsAccepted: if state == SERVICE_STOPPED { 0 } else { accepted },
        dwWin32ExitCode: if exit_code == 0 { NO_ERROR } else { ERROR_SERVICE_SPECIFIC_ERROR },
        dwServiceSpecificExitCode: exit_code,
        dwCheckPoint: told.checkpoint,
        dwWaitHint: hint.as_millis() as u32,
    };
    // SAFETY: the handle is the manager's own and is never closed. Nobody is left to be told of an
    // error.
    unsafe { SetServiceStatus(told.handle as SERVICE_STATUS_HANDLE, &raw const status) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
