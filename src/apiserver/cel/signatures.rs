//! The functions and operators that expressions may use: those of CEL's standard library and of the extensions that
//! Kubernetes 1.36 switches on (`k8s.io/apiserver/pkg/cel/environment/base.go`).

use super::types::Type;
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Signature {
    /// Whether the first parameter stands before the point.
    pub(super) member: bool,
    pub(super) params: Vec<Type>,
    pub(super) result: Type,
}

/// `name: params -> result`, several ways separated by `;`; a first parameter in front of `.` stands before the point.
const SIGNATURES: &str = "
_==_: A A -> bool
_!=_: A A -> bool
_&&_: bool bool -> bool
_||_: bool bool -> bool
!_: bool -> bool
-_: int -> int; double -> double
_?_:_: bool A A -> A
_<_: bool bool -> bool; int int -> bool; int uint -> bool; int double -> bool; uint uint -> bool; uint int -> bool; uint double -> bool; double double -> bool; double int -> bool; double uint -> bool; string string -> bool; bytes bytes -> bool; time time -> bool; duration duration -> bool
_+_: int int -> int; uint uint -> uint; double double -> double; string string -> string; bytes bytes -> bytes; list(A) list(A) -> list(A); time duration -> time; duration time -> time; duration duration -> duration
_-_: int int -> int; uint uint -> uint; double double -> double; time time -> duration; time duration -> time; duration duration -> duration
_*_: int int -> int; uint uint -> uint; double double -> double
_/_: int int -> int; uint uint -> uint; double double -> double
_%_: int int -> int; uint uint -> uint
@in: A list(A) -> bool; A map(A,B) -> bool
_[_]: list(A) int -> A; map(A,B) A -> B; opt(list(A)) int -> opt(A); opt(map(A,B)) A -> opt(B)
_[?_]: list(A) int -> opt(A); map(A,B) A -> opt(B); opt(list(A)) int -> opt(A); opt(map(A,B)) A -> opt(B)
size: string -> int; bytes -> int; list(A) -> int; map(A,B) -> int; string. -> int; bytes. -> int; list(A). -> int; map(A,B). -> int
contains: string. string -> bool
startsWith: string. string -> bool
endsWith: string. string -> bool
matches: string string -> bool; string. string -> bool
duration: string -> duration; duration -> duration; int -> duration
timestamp: string -> time; time -> time; int -> time
int: int -> int; uint -> int; double -> int; string -> int; time -> int; duration -> int
uint: uint -> uint; int -> uint; double -> uint; string -> uint
double: double -> double; int -> double; uint -> double; string -> double
string: string -> string; bool -> string; int -> string; uint -> string; double -> string; bytes -> string; time -> string; duration -> string; IP -> string; CIDR -> string
bytes: bytes -> bytes; string -> bytes
bool: bool -> bool; string -> bool
dyn: A -> dyn
type: A -> type
getFullYear: time. -> int; time. string -> int
getMonth: time. -> int; time. string -> int
getDayOfYear: time. -> int; time. string -> int
getDayOfMonth: time. -> int; time. string -> int
getDate: time. -> int; time. string -> int
getDayOfWeek: time. -> int; time. string -> int
getHours: time. -> int; time. string -> int; duration. -> int
getMinutes: time. -> int; time. string -> int; duration. -> int
getSeconds: time. -> int; time. string -> int; duration. -> int
getMilliseconds: time. -> int; time. string -> int; duration. -> int
charAt: string. int -> string
indexOf: string. string -> int; string. string int -> int; list(A). A -> int
lastIndexOf: string. string -> int; string. string int -> int; list(A). A -> int
join: list(string). -> string; list(string). string -> string
lowerAscii: string. -> string
upperAscii: string. -> string
replace: string. string string -> string; string. string string int -> string
split: string. string -> list(string); string. string int -> list(string)
substring: string. int -> string; string. int int -> string
trim: string. -> string
format: string. list(dyn) -> string
strings.quote: string -> string
find: string. string -> string
findAll: string. string -> list(string); string. string int -> list(string)
isSorted: list(A). -> bool
sum: list(int). -> int; list(uint). -> uint; list(double). -> double; list(duration). -> duration
min: list(A). -> A
max: list(A). -> A
slice: list(A). int int -> list(A)
flatten: list(list(A)). -> list(A); list(list(A)). int -> list(dyn)
sort: list(A). -> list(A)
distinct: list(A). -> list(A)
reverse: list(A). -> list(A)
first: list(A). -> opt(A)
last: list(A). -> opt(A)
lists.range: int -> list(int)
sets.contains: list(A) list(A) -> bool
sets.equivalent: list(A) list(A) -> bool
sets.intersects: list(A) list(A) -> bool
optional.of: A -> opt(A)
optional.ofNonZeroValue: A -> opt(A)
optional.none:  -> opt(A)
hasValue: opt(A). -> bool
value: opt(A). -> A
or: opt(A). opt(A) -> opt(A)
orValue: opt(A). A -> A
url: string -> URL
isURL: string -> bool
getScheme: URL. -> string
getHost: URL. -> string
getHostname: URL. -> string
getPort: URL. -> string
getEscapedPath: URL. -> string
getQuery: URL. -> map(string,list(string))
quantity: string -> Quantity
isQuantity: string -> bool
isInteger: Quantity. -> bool
asInteger: Quantity. -> int
asApproximateFloat: Quantity. -> double
sign: Quantity. -> int
add: Quantity. Quantity -> Quantity; Quantity. int -> Quantity
sub: Quantity. Quantity -> Quantity; Quantity. int -> Quantity
isLessThan: Quantity. Quantity -> bool; Semver. Semver -> bool
isGreaterThan: Quantity. Quantity -> bool; Semver. Semver -> bool
compareTo: Quantity. Quantity -> int; Semver. Semver -> int
ip: string -> IP; CIDR. -> IP
isIP: string -> bool
ip.isCanonical: string -> bool
family: IP. -> int
isUnspecified: IP. -> bool
isLoopback: IP. -> bool
isLinkLocalMulticast: IP. -> bool
isLinkLocalUnicast: IP. -> bool
isGlobalUnicast: IP. -> bool
cidr: string -> CIDR
isCIDR: string -> bool
containsIP: CIDR. string -> bool; CIDR. IP -> bool
containsCIDR: CIDR. string -> bool; CIDR. CIDR -> bool
masked: CIDR. -> CIDR
prefixLength: CIDR. -> int
semver: string -> Semver; string bool -> Semver
isSemver: string -> bool; string bool -> bool
major: Semver. -> int
minor: Semver. -> int
patch: Semver. -> int
format.named: string -> opt(Format)
validate: Format. string -> opt(list(string))
";

/// The formats that have a function of their own.
pub(super) const FORMATS: [&str; 13] = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

/// All signatures by name.
pub(super) fn signatures() -> &'static FxHashMap<String, Vec<Signature>> {
    static ALL: OnceLock<FxHashMap<String, Vec<Signature>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let order = SIGNATURES.lines().find(|line| line.starts_with("_<_")).unwrap_or_default();
        let orders = ["_<=_", "_>_", "_>=_"].map(|other| order.replacen("_<_", other, 1));
        let formats = FORMATS.map(|format| format!("format.{format}:  -> Format"));
        let generated = orders.iter().chain(&formats).map(String::as_str);
        SIGNATURES.lines().chain(generated).filter_map(read).collect()
    })
}

fn read(line: &str) -> Option<(String, Vec<Signature>)> {
    // The conditional operator has a colon in its name.
    let (name, ways) = line.split_once(": ")?;
    let way = |way: &str| {
        let (params, result) = way.split_once("->")?;
        let member = params.contains(". ");
        let params = params.split_whitespace().map(|word| Type::read(word.trim_end_matches('.'))).collect();
        Some(Signature { member, params, result: Type::read(result.trim()) })
    };
    Some((name.to_owned(), ways.split(';').filter_map(way).collect()))
}
