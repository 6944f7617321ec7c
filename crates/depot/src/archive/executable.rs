//! Which processor (and sometimes system) an executable was made for, by its first bytes.

/// Bytes of an executable that are enough to tell: Go's linker puts the PE header at 128.
pub(crate) const HEAD: usize = 1024;

/// A format of executables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Elf,
    Pe,
    MachO,
}

/// Whether an executable that begins with `head` can be a program for this `GOOS` and `GOARCH`.
pub(super) fn is_for(head: &[u8], os: &str, arch: &str) -> bool {
    let Some((format, machine)) = machine(head) else { return false };
    let expected = match os {
        "windows" => Format::Pe,
        "darwin" | "ios" => Format::MachO,
        _ => Format::Elf,
    };
    format == expected && machine.is_none_or(|machine| machine == arch)
}

/// Format and processor; the processor is none where this program does not know the number.
fn machine(head: &[u8]) -> Option<(Format, Option<&'static str>)> {
    match head {
        [0x7f, b'E', b'L', b'F', ..] => Some((Format::Elf, elf(head))),
        [b'M', b'Z', ..] => Some((Format::Pe, pe(head)?)),
        [0xcf, 0xfa, 0xed, 0xfe, ..] => Some((Format::MachO, mach_o(head))),
        _ => None,
    }
}

/// `e_machine` of an ELF header (System V ABI, chapter 4), read in the file's byte order.
fn elf(head: &[u8]) -> Option<&'static str> {
    let is_little = head.get(5) == Some(&1);
    let bytes = [*head.get(18)?, *head.get(19)?];
    let number = if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
    Some(match number {
        3 => "386",
        21 => {
            if is_little {
                "ppc64le"
            } else {
                "ppc64"
            }
        }
        22 => "s390x",
        40 => "arm",
        62 => "amd64",
        183 => "arm64",
        243 => "riscv64",
        258 => "loong64",
        _ => return None,
    })
}

/// `Machine` of a COFF header, behind the offset at 0x3c (Microsoft's PE format).
fn pe(head: &[u8]) -> Option<Option<&'static str>> {
    let offset = u32::from_le_bytes(head.get(0x3c..0x40)?.try_into().ok()?) as usize;
    let header = head.get(offset..)?.strip_prefix(b"PE\0\0")?;
    Some(match u16::from_le_bytes([*header.first()?, *header.get(1)?]) {
        0x014c => Some("386"),
        0x01c4 => Some("arm"),
        0x8664 => Some("amd64"),
        0xaa64 => Some("arm64"),
        _ => None,
    })
}

/// `cputype` of a Mach-O header (`mach/machine.h`).
fn mach_o(head: &[u8]) -> Option<&'static str> {
    match u32::from_le_bytes(head.get(4..8)?.try_into().ok()?) {
        0x0100_0007 => Some("amd64"),
        0x0100_000c => Some("arm64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf_head(order: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut head = b"\x7fELF\x02".to_vec();
        head.push(order);
        head.resize(18, 0);
        head.extend(machine);
        head
    }

    #[test]
    fn processors_are_told_apart() {
        let check = |head: &[u8], os, arch, expected| {
            assert_eq!(is_for(head, os, arch), expected, "{head:02x?} for {os}/{arch}");
        };
        check(&elf_head(1, [62, 0]), "linux", "amd64", true);
        check(&elf_head(1, [62, 0]), "linux", "arm64", false);
        check(&elf_head(1, [62, 0]), "windows", "amd64", false);
        check(&elf_head(1, [62, 0]), "freebsd", "amd64", true);
        check(&elf_head(1, [21, 0]), "linux", "ppc64le", true);
        check(&elf_head(2, [0, 21]), "linux", "ppc64", true);
        check(b"MZ", "windows", "amd64", false);
        check(b"\xcf\xfa\xed\xfe\x0c\0\0\x01", "darwin", "arm64", true);
        check(b"#!/bin/sh\n", "linux", "amd64", false);
        check(b"", "linux", "amd64", false);
        let mut pe = vec![0; 0x80];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3c] = 0x80;
        pe.extend(b"PE\0\0\x64\xaa");
        check(&pe, "windows", "arm64", true);
        check(&pe, "windows", "amd64", false);
    }
}
