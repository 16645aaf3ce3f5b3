//! Which instruction sets this machine has, and the one dispatch.

use std::fmt;
use std::str::FromStr;

use crate::lanes::{Kernel, Lanes};
use crate::scalar::Scalar;

/// An instruction set that kernels are written for, from the plainest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// Plain Rust: the specification.
    Scalar,
    /// arm64 with dot products (`sdot`): Graviton2 and later.
    Neon,
    /// x86_64 with AVX2 and FMA.
    Avx2,
    /// AVX2 and 256-bit `vpdpbusd`, AVX-VNNI's or AVX512's.
    AvxVnni,
    /// AVX512 (F, BW, DQ, VL) and 512-bit `vpdpbusd`.
    Avx512Vnni,
}

use InstructionSet::{Avx2, Avx512Vnni, AvxVnni, Neon, Scalar as Plain};

impl InstructionSet {
    /// All of them, the best last.
    pub const ALL: [Self; 5] = [Plain, Neon, Avx2, AvxVnni, Avx512Vnni];

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        struct Nothing;
        impl Kernel for Nothing {
            type Result = ();
            fn run<L: Lanes>(self, _: L) {}
        }
        self.call_if_available(Nothing).is_some()
    }

    /// Those that this machine has, the best last.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.is_available())
    }

    /// The fastest that this machine has.
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Plain)
    }

    /// As it is written in settings.
    pub fn name(self) -> &'static str {
        match self {
            Plain => "scalar",
            Neon => "neon",
            Avx2 => "avx2",
            AvxVnni => "avx_vnni",
            Avx512Vnni => "avx512_vnni",
        }
    }

    /// Runs a kernel. Panics if this machine does not have the instruction set.
    pub(crate) fn call<K: Kernel>(self, kernel: K) -> K::Result {
        self.call_if_available(kernel).unwrap_or_else(|| {
            panic!("this machine does not have the instruction set {self}; choose one of InstructionSet::available()")
        })
    }

    fn call_if_available<K: Kernel>(self, kernel: K) -> Option<K::Result> {
        match self {
            Plain => Some(Scalar.call(kernel)),
            #[cfg(target_arch = "aarch64")]
            Neon => Some(crate::neon::Neon::new()?.call(kernel)),
            #[cfg(target_arch = "x86_64")]
            Avx2 => Some(crate::avx2::Avx2::new()?.call(kernel)),
            #[cfg(target_arch = "x86_64")]
            AvxVnni => match crate::avx_vnni::AvxVnni::new() {
                Some(lanes) => Some(lanes.call(kernel)),
                None => Some(crate::avx_vnni::Avx512Vl::new()?.call(kernel)),
            },
            #[cfg(target_arch = "x86_64")]
            Avx512Vnni => Some(crate::avx512::Avx512::new()?.call(kernel)),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for InstructionSet {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|set| set.name() == name);
        found.ok_or_else(|| format!("`{name}` is none of {}", Self::ALL.map(Self::name).join(", ")))
    }
}
