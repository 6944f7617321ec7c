//! The nice value. On Linux each thread has its own, which the threads that it begins inherit;
//! elsewhere it is the whole process's, which is left alone.

use crate::Support;

pub fn lower_this_thread() -> Support {
    // Nice 19 is the last of all (setpriority(2)); no thread id means the calling thread.
    let is_done =
        cfg!(target_os = "linux") && rustix::process::setpriority_process(None, 19).is_ok();
    if is_done { Support::Done } else { Support::Unsupported }
}
