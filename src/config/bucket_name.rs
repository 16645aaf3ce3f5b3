//! Names that S3's client takes in a bucket's place: ARNs, aliases of access points, other kinds of buckets.
//!
//! None of them is supported, for documents and for their vectors. S3's events name general purpose buckets by their own
//! names. So with another name in `EMBED_OUTPUT` the function would take its own results for documents, and with one in
//! `EMBED_INPUT` it would ignore every event.

/// How such a name ends ("General purpose bucket naming rules" in S3's user guide reserves these endings), what it is
/// and what to do instead.
const ENDINGS: [(&str, &str); 7] = [
    ("-s3alias", "the alias of an access point: name the bucket behind it"),
    ("--ol-s3", "the alias of an Object Lambda access point: name the bucket behind it"),
    ("--op-s3", "the alias of an access point of S3 on Outposts, which is not supported: use a general purpose bucket"),
    (".mrap", "the alias of a Multi-Region Access Point: name the bucket behind it that lies in the function's region"),
    (
        "--xa-s3",
        "an access point of a directory bucket (S3 Express One Zone), which is not supported: use a general purpose bucket",
    ),
    ("--x-s3", "a directory bucket (S3 Express One Zone), which is not supported: use a general purpose bucket"),
    ("--table-s3", "a bucket of S3 Tables, which is not supported: use a general purpose bucket"),
];

/// What an ARN has in it, of what it then is the ARN, and what to do instead. The first that fits counts.
const ARNS: [(&str, &str); 6] = [
    (".mrap", "the ARN of a Multi-Region Access Point: name the bucket behind it that lies in the function's region"),
    (":s3-object-lambda:", "the ARN of an Object Lambda access point: name the bucket behind it"),
    (":s3-outposts:", "an ARN of S3 on Outposts, which is not supported: use a general purpose bucket"),
    (":s3express:", "an ARN of S3 Express One Zone, which is not supported: use a general purpose bucket"),
    (":accesspoint", "the ARN of an access point: name the bucket behind it"),
    (":", "an ARN: write the bucket's name alone"),
];

/// What `name` is and what to do instead, if it is a name that only stands for a bucket. An ARN may have a path behind
/// it.
pub fn stand_in(name: &str) -> Option<&'static str> {
    let found = match name.starts_with("arn:") {
        true => ARNS.iter().find(|(part, _)| name.contains(part)),
        false => ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)),
    };
    found.map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_for_a_bucket_is_told_by_its_kind() {
        for (name, what) in [
            ("arn:aws:s3:us-east-1:111122223333:accesspoint/theirs", "the ARN of an access point:"),
            ("arn:aws:s3:us-east-1:111122223333:accesspoint/theirs/some/prefix", "the ARN of an access point:"),
            ("arn:aws-cn:s3:cn-north-1:111122223333:accesspoint:theirs", "the ARN of an access point:"),
            ("arn:aws:s3::111122223333:accesspoint/mfzwi23gnjvgw.mrap", "the ARN of a Multi-Region Access Point:"),
            (
                "arn:aws:s3-object-lambda:us-east-1:111122223333:accesspoint/a",
                "the ARN of an Object Lambda access point:",
            ),
            ("arn:aws:s3-outposts:us-east-1:111122223333:outpost/op-1/accesspoint/a", "an ARN of S3 on Outposts"),
            ("arn:aws:s3express:us-east-1:111122223333:bucket/a--use1-az4--x-s3", "an ARN of S3 Express One Zone"),
            ("arn:aws:s3:::documents", "an ARN: write the bucket's name"),
            ("theirs-abcdefghijklmnopqrstuvwxyz1234-s3alias", "the alias of an access point:"),
            ("theirs--ol-s3", "the alias of an Object Lambda access point:"),
            (
                "theirs-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
                "the alias of an access point of S3 on Outposts",
            ),
            ("mfzwi23gnjvgw.mrap", "the alias of a Multi-Region Access Point:"),
            ("theirs--use1-az4--xa-s3", "an access point of a directory bucket"),
            ("theirs--use1-az4--x-s3", "a directory bucket (S3 Express One Zone)"),
            ("0f8e--table-s3", "a bucket of S3 Tables"),
        ] {
            let told = stand_in(name).unwrap_or_else(|| panic!("{name}"));
            assert!(told.starts_with(what) && told.contains(": "), "{name}: {told}");
        }
        for name in ["documents", "s3alias", "x-s3", "mrap", "arn", "my.arn-s3"] {
            assert_eq!(stand_in(name), None, "{name}");
        }
    }
}
