//! Words that change a question when they are exchanged, and capitals that say nothing.
//!
//! Small on purpose and extended by evidence: a word belongs here when a test shows two questions that
//! differ in it alone, score high and need different answers.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// One meaning a line: the words on it count as the same particular. Base forms only; see [`bases`].
/// Of two opposites the everyday one may be missing: `disable` alone tells "enable" and "disable" apart, and
/// lets "turn on" pass for "enable".
const MEANINGS: &str = "
not no never cannot without none nor neither nothing nobody nowhere non unable lack except nicht kein keine nie ohne pas jamais sans nunca sin nao não non mai senza
disable deactivate
deny forbid prohibit block reject refuse
unblock
increase raise grow rise
decrease reduce lower shrink fall drop
maximum max maximize maximise highest most largest biggest longest
minimum min minimize minimise lowest least smallest shortest fewest
more greater higher above exceed
less fewer below under
add insert include append
remove delete exclude erase drop uninstall
destroy
close shut
stop end finish quit terminate
pause
first initial
last final latest
second
next
previous prior
before
after
sell
receive
lend
borrow
export
upload
download
encrypt
decrypt
encode
decode
compress
decompress extract unzip
disconnect
unsubscribe cancel
unfollow
hide
pull
read
lose
hate dislike
fail failure
false
yes
left
wrong incorrect
bad worse
worst
unsafe dangerous insecure
hot warm
cold cool
slow
early
late
old
young
expensive
small little
short
low
up upper
down
off
out
inside
outside
upgrade
downgrade
advantage pro benefit
disadvantage con drawback
illegal
impossible
male man boy father husband brother son he him his
female woman girl mother wife sister daughter she her
input
output
source
target destination
client
server
internal
external
public
private
manual
automatic automatically
synchronous sync
asynchronous async
horizontal
vertical
positive
negative
profit
loss
credit
debit
asset
liability
expense
summarize summarise summary
translate translation
expand
rewrite
only
all every each
always
often
rarely seldom
morning
noon
afternoon
evening
night midnight
today
tomorrow
yesterday
daily day
weekly week
monthly month
quarterly quarter
yearly annual annually year
hour hourly
minute
monday
tuesday
wednesday
thursday
friday
saturday
sunday
weekend
january jan
february feb
march
april apr
june jun
july jul
august aug
september sep sept
october oct
november nov
december dec
spring
summer
autumn
winter
north northern
south southern
east eastern
west western
kilometer kilometre km
mile
meter metre
centimeter centimetre cm
millimeter millimetre mm
inch
foot feet
yard
kilogram kg kilo
gram
pound lb
ounce oz
liter litre
gallon
celsius
fahrenheit
kelvin
dollar usd
euro eur
yen jpy
rupee inr
sterling gbp
yuan cny
percent percentage
byte
kilobyte kb
megabyte mb
gigabyte gb
terabyte tb
dozen
half
double twice
triple
hundred
thousand
million
billion
trillion
third
fourth
fifth
once
single
red
green
blue
yellow
black
white
orange
purple
brown
pink
grey gray
breakfast
lunch
dinner
dog
cat
android
ios iphone
windows
linux
macos mac
lock
unlock
win
buy purchase
revenue
income
best
import
";

/// Number words and the digits they equal, in pairs.
const NUMBERS: &str = "
zero 0 one 1 two 2 three 3 four 4 five 5 six 6 seven 7 eight 8 nine 9 ten 10 eleven 11 twelve 12 thirteen 13
fourteen 14 fifteen 15 sixteen 16 seventeen 17 eighteen 18 nineteen 19 twenty 20 thirty 30 forty 40 fifty 50
sixty 60 seventy 70 eighty 80 ninety 90
";

/// Names that are often written without their capital: countries, languages, programming languages.
const NAMES: &str = "
afghanistan argentina argentinian australia australian austria austrian bangladesh belgium belgian brazil
brazilian bulgaria bulgarian canada canadian chile chilean china chinese colombia colombian croatia croatian
cuba cuban czech denmark danish dutch egypt egyptian england english estonia estonian ethiopia europe european
finland finnish france french germany german ghana greece greek hungary hungarian iceland icelandic india
indian indonesia indonesian iran iranian iraq iraqi ireland irish israel israeli italy italian japan japanese
kenya kenyan korea korean latvia latvian lithuania lithuanian malaysia malaysian mexico mexican morocco
moroccan nepal netherlands nigeria nigerian norway norwegian pakistan pakistani peru peruvian philippines
filipino poland polish portugal portuguese romania romanian russia russian scotland scottish serbia serbian
singapore slovakia slovak slovenia slovenian spain spanish sweden swedish switzerland swiss syria taiwan
taiwanese thailand thai turkey turkish ukraine ukrainian vietnam vietnamese wales welsh africa african america
american asia asian hindi arabic hebrew latin mandarin cantonese bengali urdu
london paris berlin madrid rome vienna lisbon athens dublin amsterdam brussels warsaw prague budapest moscow
tokyo beijing shanghai delhi mumbai sydney toronto chicago boston seattle
python java javascript typescript rust golang ruby php perl scala kotlin swift haskell erlang elixir clojure
bash powershell sql html css json yaml xml csv pdf excel word docker kubernetes mysql postgres postgresql
sqlite mongodb redis kafka react angular vue django flask rails spring aws azure gcp github gitlab google
microsoft apple amazon facebook twitter openai anthropic gemini claude chatgpt
";

/// Words whose capital at the start of a sentence says nothing.
const OPENERS: &str = "
what which who whom whose when where why how is are am was were do does did can could would should shall will
may might must have has had please tell explain describe define give show list write draft compose generate
make create build find search help need want let compare summarize summarise translate convert calculate
compute solve fix debug review check test run use try add remove delete update set get change edit improve
rewrite rephrase shorten expand answer ask say read open close send buy sell plan suggest recommend provide
identify name mention outline discuss analyze analyse evaluate estimate design implement configure install
enable disable activate deactivate increase decrease reset restore start stop turn switch add connect
disconnect hi hello hey dear thanks thank good morning afternoon evening yes no ok okay sure not never
the a an this that these those there here it its my your our their his her some any all each every many much
in on at by for from to with without about after before during between into over under of as and or but if
because since while although however also then so just only could i'd recipe recipes steps step
user assistant question answer
";

/// Words that may be written with a capital anywhere.
const EVERYDAY: &str = "
i i'm i've i'd i'll i’m i’ve i’d i’ll a an the and or of in on at to for is are am be it my me you your we our
please help thanks thank ok okay hi hello dear what how why when where who can could would should do does did
asap fyi faq
";

static CLOSED: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    let mut words = HashMap::new();
    for name in NAMES.split_whitespace() {
        words.insert(name, format!("~{name}"));
    }
    for line in MEANINGS.lines() {
        let mut line = line.split_whitespace();
        let Some(meaning) = line.next() else { continue };
        for word in std::iter::once(meaning).chain(line) {
            words.entry(word).or_insert_with(|| meaning.to_owned());
        }
    }
    let mut numbers = NUMBERS.split_whitespace();
    while let (Some(word), Some(digits)) = (numbers.next(), numbers.next()) {
        words.insert(word, format!("#{digits}"));
    }
    words
});
static OPENING: LazyLock<HashSet<&'static str>> = LazyLock::new(|| OPENERS.split_whitespace().collect());
static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| EVERYDAY.split_whitespace().collect());

/// What a word of a closed class means, for any of its forms; `lower` is in lower case.
pub(super) fn closed_class(lower: &str) -> Option<&'static str> {
    let word = lower.strip_suffix("'s").or_else(|| lower.strip_suffix("’s")).unwrap_or(lower);
    bases(word).into_iter().find_map(|base| CLOSED.get(base.as_str())).map(String::as_str)
}

/// The negation in `don't`, `can't`, `won’t`.
pub(super) fn contraction(lower: &str) -> Option<&'static str> {
    (lower.ends_with("n't") || lower.ends_with("n’t")).then_some("not")
}

/// Whether a capital at the start of a sentence says nothing for this word.
pub(super) fn opens_sentences(lower: &str) -> bool {
    OPENING.contains(lower) || lower.contains(['\'', '’'])
}

/// Whether a capital says nothing anywhere.
pub(super) fn is_everyday(lower: &str) -> bool {
    COMMON.contains(lower)
}

/// Possible base forms of an English word, likeliest first; not all of them are words.
fn bases(word: &str) -> Vec<String> {
    let mut out = vec![word.to_owned()];
    for (ending, instead) in [
        ("ies", "y"),
        ("ied", "y"),
        ("es", ""),
        ("s", ""),
        ("ed", ""),
        ("ed", "e"),
        ("ing", ""),
        ("ing", "e"),
        ("er", "e"),
        ("er", ""),
        ("est", ""),
        ("ly", ""),
    ] {
        let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() >= 2) else { continue };
        out.push(format!("{stem}{instead}"));
        let mut letters = stem.chars().rev();
        // stopped, stopping: the doubled consonant goes too.
        if let (Some(one), Some(two)) = (letters.next(), letters.next())
            && one == two
            && one.is_ascii_alphabetic()
        {
            out.push(stem[..stem.len() - 1].to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_word_means_the_same() {
        for (word, meaning) in [
            ("disable", Some("disable")),
            ("disabled", Some("disable")),
            ("disabling", Some("disable")),
            ("disables", Some("disable")),
            ("stopped", Some("stop")),
            ("stopping", Some("stop")),
            ("miles", Some("mile")),
            ("countries", None),
            ("france's", Some("~france")),
            ("seven", Some("#7")),
            ("table", None),
        ] {
            assert_eq!(closed_class(word), meaning, "{word}");
        }
    }

    #[test]
    fn contractions_negate() {
        assert_eq!(contraction("won't"), Some("not"));
        assert_eq!(contraction("can’t"), Some("not"));
        assert_eq!(contraction("want"), None);
    }
}
