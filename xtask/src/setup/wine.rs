//! Wine 10, to run Windows programs in tests.
//!
//! An installed Wine is used if it is new enough: with older ones every `go build` fails. Else Debian's Wine 10 is unpacked beside the system with the C library of its own release,
//! to which its two programs are bound: nothing is installed, and no rights of root are needed.
//!
//! A *prefix* is Wine's Windows: registry and drive C. One is made once, as a template; those in
//! use are clones of it.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use gofleet_testkit::cache;

use super::{debian, packages};
use crate::run::{find_program, quiet, read};

/// The oldest Wine under which the Go tools work.
const OLDEST: u32 = 10;

/// The release of Debian that has it.
const RELEASE: &str = "trixie";

/// Wine, its C library, and all that the two link to.
const PACKAGES: [&str; 22] = [
    "wine64",
    "libwine",
    "libc6",
    "libgcc-s1",
    "libunwind8",
    "liblzma5",
    "libgnutls30t64",
    "libnettle8t64",
    "libhogweed6t64",
    "libgmp10",
    "libp11-kit0",
    "libidn2-0",
    "libunistring5",
    "libtasn1-6",
    "libffi8",
    "libfreetype6",
    "libpng16-16t64",
    "libbrotli1",
    "libbz2-1.0",
    "zlib1g",
    "libz-mingw-w64",
    "libzstd1",
];

/// Neither .NET nor a browser nor desktop menus: they would be asked for, or made, at each start.
const OVERRIDES: &str = "mscoree,mshtml,winemenubuilder.exe=d";

/// A Wine that works, and the scripts that go with it.
pub struct Wine {
    /// `run PROGRAM ARGUMENTS…`: cargo's runner. In `$WINEPREFIX`, else in one prefix for all.
    pub run: PathBuf,
    version: String,
}

impl fmt::Display for Wine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, runner {}", self.version, self.run.display())
    }
}

struct Programs {
    wine: PathBuf,
    server: PathBuf,
}

/// Makes Wine usable if it is not yet.
///
/// # Errors
///
/// Why it can't be had here.
pub fn install() -> Result<Wine> {
    let folder = cache::folder().join("wine");
    let programs = match installed() {
        Some(programs) => programs,
        None => unpacked(&folder)?,
    };
    let template = folder.join("template");
    cache::once(&template, |partial| make_template(&programs, partial))?;
    let clone = folder.join("clone");
    write_script(&clone, include_str!("wine/clone.sh"))?;
    let run = folder.join("run");
    let script = include_str!("wine/run.sh")
        .replace("@FOLDER@", text(&folder)?)
        .replace("@ARCHIVES@", text(&cache::folder().join("archives"))?)
        .replace("@OVERRIDES@", OVERRIDES)
        .replace("@WINE@", text(&programs.wine)?)
        .replace("@SERVER@", text(&programs.server)?);
    write_script(&run, &script)?;
    let stop = include_str!("wine/stop.sh").replace("@SERVER@", text(&programs.server)?);
    write_script(&folder.join("stop"), &stop)?;
    Ok(Wine { run, version: version(&programs.wine)? })
}

/// The Wine of the system, if it is new enough.
fn installed() -> Option<Programs> {
    let wine = find_program("wine64").or_else(|| find_program("wine"))?;
    let server = find_program("wineserver")?;
    let said = version(&wine).ok()?;
    let major: u32 = said.strip_prefix("wine-")?.split('.').next()?.parse().ok()?;
    (major >= OLDEST).then_some(Programs { wine, server })
}

fn version(wine: &Path) -> Result<String> {
    Ok(read(Command::new(wine).arg("--version"))?.trim().to_owned())
}

/// Debian's Wine beside the system.
fn unpacked(folder: &Path) -> Result<Programs> {
    let root = folder.join("root");
    cache::once(&root, |partial| {
        let debian = debian::Release::open(RELEASE)?;
        packages::programs(&[("patchelf", "patchelf")])?;
        eprintln!("fetching Wine from Debian {RELEASE}");
        debian.unpack(&PACKAGES, partial)?;
        complete(partial)?;
        bind(partial, &root)
    })?;
    let programs = root.join("usr/lib/wine");
    Ok(Programs { wine: programs.join("wine64"), server: programs.join("wineserver") })
}

/// Adds what the packages' own install scripts and links would have made.
fn complete(root: &Path) -> Result<()> {
    // The server looks for its tables in share/wine/wine.
    let share = root.join("usr/share/wine/wine");
    if !share.exists() {
        std::os::unix::fs::symlink(".", share)?;
    }
    // Its own start script lies under this name; it would start the system's Wine.
    let programs = root.join("usr/lib/wine");
    fs::copy(programs.join("wineserver64"), programs.join("wineserver"))?;
    // user32.dll wants zlib1.dll marked as Wine's own.
    let mut zlib = fs::read(root.join("usr/x86_64-w64-mingw32/lib/zlib1.dll"))?;
    let mark = b"Wine builtin DLL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    zlib.get_mut(64..64 + mark.len()).context("zlib1.dll is empty")?.copy_from_slice(mark);
    let libraries = root.join("usr/lib/x86_64-linux-gnu/wine/x86_64-windows");
    fs::write(libraries.join("zlib1.dll"), zlib)?;
    Ok(())
}

/// Binds Wine's programs to the C library that was unpacked with it, at its later place.
fn bind(unpacked: &Path, later: &Path) -> Result<()> {
    let libraries = later.join("usr/lib/x86_64-linux-gnu");
    for program in ["wine64", "wineserver"] {
        quiet(
            Command::new("patchelf")
                .arg("--set-interpreter")
                .arg(libraries.join("ld-linux-x86-64.so.2"))
                .args(["--force-rpath", "--set-rpath"])
                .arg(&libraries)
                .arg(unpacked.join("usr/lib/wine").join(program)),
        )?;
    }
    Ok(())
}

/// Makes a prefix: Windows 10, and a crash ends a program at once, without a debugger.
fn make_template(programs: &Programs, prefix: &Path) -> Result<()> {
    eprintln!("making a Windows for Wine");
    let debugger = r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug";
    let steps: [&[&str]; 3] = [
        &["wineboot", "-i"],
        &["winecfg", "-v", "win10"],
        &["reg", "add", debugger, "/v", "Debugger", "/t", "REG_SZ", "/d", "", "/f"],
    ];
    for step in steps {
        // The background processes that the first one starts would hold a pipe open for ever.
        in_prefix(&programs.wine, prefix).args(step).status()?;
    }
    in_prefix(&programs.server, prefix).arg("-w").status()?;
    ensure!(prefix.join("system.reg").is_file(), "Wine made no registry in {}", prefix.display());
    cut_links(prefix)
}

fn in_prefix(program: &Path, prefix: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("WINEPREFIX", prefix)
        .envs([("WINEARCH", "win64"), ("WINEDEBUG", "-all"), ("WINEDLLOVERRIDES", OVERRIDES)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Replaces links into the user's home by folders: what a test removes must not be there.
fn cut_links(prefix: &Path) -> Result<()> {
    for user in fs::read_dir(prefix.join("drive_c/users"))? {
        for entry in fs::read_dir(user?.path())? {
            let path = entry?.path();
            if path.is_symlink() {
                fs::remove_file(&path)?;
                fs::create_dir(&path)?;
            }
        }
    }
    Ok(())
}

/// Replaces a script as a whole: another process may be starting it.
fn write_script(path: &Path, script: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|present| present == script) {
        return Ok(());
    }
    let mut file = tempfile::NamedTempFile::new_in(path.parent().expect("in the cache"))?;
    std::io::Write::write_all(&mut file, script.as_bytes())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o755))?;
    file.persist(path)?;
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
