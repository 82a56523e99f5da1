//! Pairs of questions: which may share an answer as far as the guard is concerned.
//!
//! The guard alone does not make a hit; what it lets pass must still be similar enough.

use proptest::prelude::*;

use super::*;

fn same(one: &str, two: &str) -> bool {
    fingerprint(one, "m") == fingerprint(two, "m")
}

#[test]
fn questions_that_differ_in_a_particular_never_share_an_answer() {
    for (one, two) in [
        ("What was the revenue in 2023?", "What was the revenue in 2024?"),
        ("How long does it take to run 10 miles?", "How long does it take to run 25 miles?"),
        ("How do I enable 2FA?", "How do I disable 2FA?"),
        ("good morning", "good night"),
        ("Convert 5 miles to km", "Convert 5 km to inches"),
        ("Is it safe to mix bleach and vinegar?", "Is it not safe to mix bleach and vinegar?"),
        ("Why can I log in?", "Why can't I log in?"),
        ("How do I log in?", "How do I log out?"),
        ("turn the light on", "turn the light off"),
        ("capital of france", "capital of germany"),
        ("What is the capital of France?", "What is the capital of Peru?"),
        ("Berlin is the capital of what?", "Rome is the capital of what?"),
        ("Translate 'good' into Spanish", "Translate 'bad' into Spanish"),
        ("Translate \"cat\" to French", "Translate \"dog\" to French"),
        ("Translate this to French", "Translate this to Italian"),
        ("Who is Ada Lovelace?", "Who is Grace Hopper?"),
        ("open /etc/hosts", "open /etc/passwd"),
        ("what does get_user do", "what does set_user do"),
        ("call getUser", "call setUser"),
        ("install version 1.2.3", "install version 1.2.4"),
        ("sort in increasing order", "sort in decreasing order"),
        ("What is the maximum dose?", "What is the minimum dose?"),
        ("Set it to -5", "Set it to 5"),
        ("costs $5", "costs €5"),
        ("is a > b", "is a < b"),
        ("before lunch", "after lunch"),
        ("buy shares", "sell shares"),
        ("Python list sort", "Java list sort"),
        ("C++ or C#", "C or C#"),
        ("mail a@b.org", "mail b@b.org"),
        ("two eggs", "three eggs"),
        ("meeting on Monday", "meeting on Tuesday"),
        ("über", "uber"),
        ("你好吗", "你是谁"),
        ("I love it 👍", "I love it 👎"),
        ("1,000 euros", "10,000 euros"),
        ("summarize the text", "translate the text"),
        ("open the door", "close the door"),
        ("Is it legal to own a fox?", "Is it illegal to own a fox?"),
        ("unlock the account", "lock the account"),
    ] {
        assert!(!same(one, two), "{one} / {two}: {:?}", particulars(one));
    }
}

#[test]
fn the_same_words_in_another_order_are_another_question() {
    for (one, two) in [
        ("Flights from London to Paris", "Flights from Paris to London"),
        ("Flights to Paris from London", "Flights to London from Paris"),
        ("from New York to New Orleans", "from New Orleans to New York"),
        ("Convert speech to text", "Convert text to speech"),
        ("Convert 5 miles to km", "Convert 5 km to miles"),
        ("How many miles are in a foot?", "How many feet are in a mile?"),
        ("Mix 2 cups of flour and 1 cup of sugar", "Mix 1 cup of flour and 2 cups of sugar"),
        ("Can employers sue employees?", "Can employees sue employers?"),
        ("Who did Alice pay?", "Who paid Alice?"),
        ("Which companies own banks?", "Which banks own companies?"),
        ("Explain how the heart affects the lungs", "Explain how the lungs affect the heart"),
        ("Is a cat faster than a dog?", "Is a dog faster than a cat?"),
        ("Was Caesar killed by Brutus?", "Was Brutus killed by Caesar?"),
        ("Replace tabs with spaces", "Replace spaces with tabs"),
        ("Put the box on the table", "Put the table on the box"),
        ("Should I eat before I run?", "Should I run before I eat?"),
        ("Sort by name, then by date", "Sort by date, then by name"),
        ("raise prices and reduce costs", "reduce prices and raise costs"),
        ("the student's teacher", "the teacher's student"),
        ("the father of the bride", "the bride of the father"),
        ("Wie komme ich von Berlin nach Bonn?", "Wie komme ich von Bonn nach Berlin?"),
        ("vuelos de Madrid a Toledo", "vuelos de Toledo a Madrid"),
        ("da Roma a Milano", "da Milano a Roma"),
    ] {
        assert!(!same(one, two), "{one} / {two}: {:?}", particulars(one));
    }
}

#[test]
fn another_question_word_is_another_question() {
    for (one, two) in [
        ("When did the war start?", "Where did the war start?"),
        ("Why do cats purr?", "How do cats purr?"),
        ("Who broke the window?", "What broke the window?"),
        ("How do I pay?", "Can I pay?"),
        ("Should I pay?", "Can I pay?"),
        ("Do cats purr?", "Why do cats purr?"),
        ("How many planets are there?", "What planets are there?"),
        ("How long is the bridge?", "How old is the bridge?"),
        ("Explain when to use a mutex", "Explain how to use a mutex"),
        ("Who is the president?", "Who was the president?"),
        ("What will the price be?", "What was the price?"),
        ("Wann beginnt das Konzert?", "Wo beginnt das Konzert?"),
        ("Pourquoi ouvre le magasin ?", "Quand ouvre le magasin ?"),
        ("Quando apre il museo?", "Dove apre il museo?"),
    ] {
        assert!(!same(one, two), "{one} / {two}: {:?}", particulars(one));
    }
}

#[test]
fn the_other_direction_and_the_opposite_are_another_question() {
    for (one, two) in [
        ("emails to my boss", "emails from my boss"),
        ("Is the pipe over the floor?", "Is the pipe under the floor?"),
        ("Walk towards the exit", "Walk away from the exit"),
        ("Züge nach Hamburg", "Züge von Hamburg"),
        ("How do I freeze bread?", "How do I thaw bread?"),
        ("How do I mount a disk?", "How do I unmount a disk?"),
        ("What is the heaviest metal?", "What is the lightest metal?"),
        ("Is the process reversible?", "Is the process irreversible?"),
        ("Which snakes are harmless?", "Which snakes bite?"),
        ("the rights of tenants", "the rights of landlords"),
    ] {
        assert!(!same(one, two), "{one} / {two}: {:?}", particulars(one));
    }
}

#[test]
fn paraphrases_pass() {
    for (one, two) in [
        ("How do I reset my password?", "What is the way to change a forgotten password?"),
        ("How can I reset my password", "how do I reset the password?"),
        ("What is the capital of France?", "what's the capital city of France"),
        ("Which city is the capital of France?", "Tell me the capital of France."),
        ("How do I enable 2FA?", "How can I activate 2fa on this account?"),
        ("Why can't I log in?", "Why am I unable to log in?"),
        ("Explain photosynthesis", "Can you explain how photosynthesis works?"),
        ("What was the revenue in 2023?", "How much revenue did we make in 2023?"),
        ("I need 1,000 eggs", "i need 1000 eggs"),
        ("Please list three ideas for a party", "give me 3 party ideas"),
        ("I'm hungry", "i am hungry"),
        ("How do I turn on 2FA?", "How do I enable 2FA?"),
        ("How do I get from London to Paris?", "What is the best way to get to Paris from London?"),
        (
            "How do I move files from my phone to my laptop?",
            "How can I move files from a phone to the laptop?",
        ),
        ("What time does the store open?", "When does the store open?"),
        ("What is the reason for the delay?", "Why the delay?"),
        ("Which author wrote Hamlet?", "Who wrote Hamlet?"),
        ("Where is my order?", "Can you tell me where my order is?"),
        ("How much time does it take to run 10 miles?", "How long does it take to run 10 miles?"),
        ("What are the opening hours of the library?", "What are the library's opening hours?"),
        ("Write a query that counts orders per customer", "Write a query to count orders per customer"),
    ] {
        assert!(same(one, two), "{one} {:?} / {two} {:?}", particulars(one), particulars(two));
    }
}

#[test]
fn vectors_of_different_models_are_never_compared() {
    assert_ne!(fingerprint("hello", "one"), fingerprint("hello", "two"));
}

#[test]
fn particulars_name_what_was_found() {
    let found = particulars("Don't receive 5 copies of \"A b\" to Ada, never!");
    let found: Vec<_> = found.iter().map(|(word, count)| (word.as_str(), *count)).collect();
    let expected = [
        ("\"A b", 1),
        ("#5", 1),
        ("not", 2),
        ("not>receive", 1),
        ("of>\"A b", 1),
        ("receive", 1),
        ("receive>#5", 1),
        ("to>ada", 1),
        ("~ada", 1),
    ];
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn hostile_text_never_panics_and_a_text_equals_itself(text in ".{0,200}", marks in "[\"'`“”‘’a-z0-9 .,+#/_-]{0,80}") {
        prop_assert!(same(&text, &text));
        prop_assert!(same(&marks, &marks));
    }

    #[test]
    fn different_particulars_never_have_one_fingerprint(
        one in ("[a\0:]{0,3}", proptest::collection::btree_map("[a1\0]{0,3}", 0u32..12, 0..3)),
        two in ("[a\0:]{0,3}", proptest::collection::btree_map("[a1\0]{0,3}", 0u32..12, 0..3)),
    ) {
        prop_assert_eq!(of_particulars(&one.0, &one.1) == of_particulars(&two.0, &two.1), one == two);
    }

    #[test]
    fn two_numbers_are_never_confused(one in 0u64..100_000, two in 0u64..100_000) {
        let ask = |n: u64| format!("how far is {n} miles");
        prop_assert_eq!(same(&ask(one), &ask(two)), one == two);
    }
}
