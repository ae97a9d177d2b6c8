"""Shapes of attacks that can be named: each has an id of its own, so that on-call can switch one off.

They speak of folded, lower-case text. An expression is tried only when one of its words occurs; all quantifiers are
bounded, so that the work is linear in the text.
"""

# ruff: noqa: E501 (an expression is read whole)
from collections.abc import Collection, Iterator, Set
from itertools import islice

from . import harm
from .rule import INJECTION, JAILBREAK, Rule
from .signs import LONG, Signs

MOST_MATCHES = 16
"""Matches of one rule that are reported of one text."""

_GAP = r"(?:[^\w.!?]{1,3}\w{1,20}){0,4}?[^\w.!?]{1,3}"
"""At most four words between two that are looked for, within a sentence."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_IGNORE = "ignore|disregard|forget|bypass|override|neglect|discard|dismiss|do not follow|don't follow|stop following|do not obey|stop obeying"
_OLD = "previous|prior|preceding|above|earlier|former|foregoing|original|initial|system|safety|developer's|openai's"
_ORDERS = "instructions?|prompts?|directives?|directions|guidelines|commands|orders|rules|polic(?:y|ies)|restrictions|programming|constraints"
_HIDDEN = r"(?:system|initial|original|hidden|secret|full|entire|exact|internal|developer)\s{1,3}(?:prompts?|instructions?|messages?|rules|directives|configuration)"
_REVEAL = "reveal|print|repeat|show|output|display|leak|dump|recite|disclose|expose|tell me|give me|share|paste|copy|write out|what is|what are|what was|what were|translate|summarize|encode"
_LOOT = "conversation|chat history|chat log|passwords?|api keys?|credentials|secrets?|tokens?|emails|e-mails|inbox|contacts|customer list|files?|documents?|database|personal (?:data|information)|user(?:'s)? data|environment variables"
_LOOT_WORDS = "conversation history log password passwords key keys credential credentials secret secrets token tokens emails mails inbox contacts list file files document documents database data information variables"
_DARK = (
    "bomb bombs explosive explosives firearm firearms weapon weapons gun guns shooting shootings meth methamphetamine cocaine heroin fentanyl "
    "lsd drugs narcotics hack hacks hacked hacking hacker hackers malware ransomware keylogger phishing ddos fraud fraudulent scam scams "
    "counterfeit counterfeiting forge forged forging forgery launder laundering bribe bribes bribery blackmail extort extortion evasion smuggle "
    "smuggling trafficking steal stealing stolen theft rob robbing robbery burglary shoplifting piracy pirated kill killing murder assassinate "
    "torture poison poisoning massacre genocide terrorist terrorism kidnap kidnapping racist racism sexist sexism antisemitic homophobic slurs "
    "supremacist supremacy nazi nazis porn pornographic erotic suicide self-harm underage minors misinformation disinformation defamatory defame "
    "defamation deepfake deepfakes propaganda cannibalism vandalism vandalize stalk stalking drunk dui ponzi cloning illegal illegally unethical "
    "controversial harmful"
)
"""Words that harmful requests have, and many a harmless text: of use only beside another sign."""
_UNBOUND = "unfiltered|uncensored|unrestricted|unlimited|amoral|jailbroken|unethical|unaligned|unrestrained|unbound|unchained|lawless|immoral"
_SHAPE = (
    "enhance|modify|improve|adjust|alter|amend|frame|structure|craft|embellish|display|render|present|infuse|spice up|tailor|enrich|supplement|augment|expand|conclude|begin|start|end|finish"
    "|phrase|rephrase|format|encode|encrypt|translate|convert|rewrite|write|compose|deliver|reverse|limit|restrict|customi[sz]e|transform|refine|complement|diversify|elevate|strengthen"
)
_PUT = (
    "add|append|insert|include|inclusion of|incorporate|integrate|embed|inject|employ|apply|use|utili[sz]e|make use of|implement|introduce|leverage|merge|attach|paste|place|put|weave|infuse"
    "|assimilate|absorb|adopt|combine|supplement|enrich|augment|complement|blend|exploit|harness|deploy|flourish with|benefit from"
)
_AI = "ai|ais|assistants?|llms?|language models?|chatbots?|ai agents?|chatgpt|gpt|copilot|claude|gemini"

RULES = (
    Rule("injection.override", INJECTION, 0.95,
         _words("ignore disregard forget bypass override neglect discard dismiss follow following obey obeying"),
         rf"\b(?:{_IGNORE})\b{_GAP}(?:(?:{_OLD})\b{_GAP}(?:{_ORDERS})\b(?! (?:of|for|on|in) (?:the|my|this|our) (?!system|assistant|chat))"
         rf"|all (?:of )?(?:your|the) (?:{_ORDERS})\b|(?:everything|anything|all)\b{_GAP}(?:above|before|told|said so far)\b)",
         "tells the model to disregard what it was told before", starts=tuple(_IGNORE.split("|"))),
    Rule("injection.override_foreign", INJECTION, 0.97,
         _words("ignoriere ignorier vergiss missachte ignorez oublie oubliez olvida olvidate descarta desobedece dimentica scarta "
                "esqueça desconsidere descarte negeer vergeet zignoruj zapomnij pomiń yok unut dikkate görmezden игнорируй проигнорируй забудь "
                "отбрось игнорируйте забудьте 忽 无 忘 不 無 무시해 무시하고 무시하세요 잊어버려 잊고 잊어 تجاهل انس अनदेखा भूल नज़रअंदाज़"),
         r"(?:ignorier|vergiss|missachte)\w{0,4} (?:\w{1,12} ){0,3}(?:anweisung|befehl|regeln|vorgaben|instruktion)"
         r"|(?:ignore[zr]?|oublie[zr]?) (?:\w{1,12} ){0,3}(?:instructions|consignes|règles|directives) (?:précédentes|antérieures|ci-dessus|du système|initiales)"
         r"|(?:ignora|olvida|descarta|desobedece)\w{0,2} (?:\w{1,12} ){0,3}(?:instrucciones|órdenes|reglas|directrices)"
         r"|(?:ignora|dimentica|scarta)\w{0,3} (?:\w{1,12} ){0,3}(?:istruzioni|regole|direttive)"
         r"|(?:ignore|esqueça|desconsidere|descarte) (?:\w{1,12} ){0,3}(?:instruções|ordens|regras|diretrizes)"
         r"|(?:negeer|vergeet) (?:\w{1,12} ){0,3}(?:instructies|regels|opdrachten)"
         r"|(?:zignoruj|zapomnij|pomiń) (?:\w{1,12} ){0,3}(?:instrukcj|poleceni|zasad|wytyczn)"
         r"|(?:talimat|kural|komut|yönerge)\w{0,8} (?:\w{1,12} ){0,1}(?:yok say|unut|dikkate alma|görmezden gel)"
         r"|(?:игнорируй|проигнорируй|забудь|отбрось)\w{0,2} (?:\w{1,12} ){0,3}(?:инструкци|указани|команд|правил)"
         r"|(?:忽略|无视|忘记|忘掉|不要理会).{0,8}(?:指令|指示|规则|提示|命令|设定)"
         r"|(?:指示|命令|ルール|規則|プロンプト).{0,4}(?:無視|忘れ)"
         r"|(?:지시|명령|규칙|지침|프롬프트)\w{0,4} (?:\w{1,6} ){0,1}(?:무시|잊)"
         r"|(?:تجاهل|انس) (?:\w{1,12} ){0,2}(?:التعليمات|الأوامر|القواعد)"
         r"|(?:निर्देश|आदेश|नियम).{0,12}(?:अनदेखा|भूल जाओ|नज़रअंदाज़)",
         "the same in other languages",
         parts=True, starts=("ignor", "vergiss", "missacht", "oublie", "olvida", "descarta", "desobedece", "dimentica", "scarta", "esqueça", "desconsidere", "descarte",
                 "negeer", "vergeet", "zignoruj", "zapomnij", "pomiń", "talimat", "kural", "komut", "yönerge", "игнорируй", "проигнорируй", "забудь", "отбрось",
                 "忽略", "无视", "忘记", "忘掉", "不要理会", "指示", "命令", "ルール", "規則", "プロンプト", "지시", "명령", "규칙", "지침", "프롬프트",
                 "تجاهل", "انس", "निर्देश", "आदेश", "नियम")),
    Rule("injection.override_foreign", INJECTION, 0.97, _words("ignore ignora ignorar"),
         r"ignorez? (?:\w{1,12} ){0,3}(?:instructions|consignes|règles|directives) (?:précédentes|antérieures|ci-dessus|du système|initiales)"
         r"|ignora\w{0,2} (?:\w{1,12} ){0,3}(?:instrucciones|órdenes|reglas|directrices|istruzioni|regole|direttive)"
         r"|ignore (?:\w{1,12} ){0,3}(?:instruções|ordens|regras|diretrizes)",
         "the same in other languages, by a word that English has too", parts=True, starts=("ignor",),
         also=_words("instructions consignes règles directives instrucciones órdenes reglas directrices istruzioni regole direttive instruções ordens regras diretrizes")),
    Rule("injection.role_forging", INJECTION, 0.95,
         _words("system inst sys im endoftext eot turn role instruction"),
         r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>|\[/?inst\]|<</?sys>>|<start_of_turn>|</?system>|\[system\]\("
         r"|[\"']role[\"']\s{0,3}:\s{0,3}[\"'](?:system|developer)[\"']|(?<![^\n])#{2,4} ?(?:system|instruction):?\s|(?:(?<![^\n])|(?<=\n )|(?<=\n  )|(?<=\n   )|(?<=\n    ))\[?system(?: message| prompt| override| note)?\]?:\s",
         "writes markers that only the application may write",
         parts=True, starts=("<|", "<start_of", "<system", "</system", "<<", "[inst", "[/inst", "[system", '"role', "'role", "##", "system"), roles=frozenset({"user", "tool", "input"})),
    Rule("injection.prompt_extraction", INJECTION, 0.95,
         _words("prompt prompts instructions instruction rules message messages directives configuration above"),
         rf"\b(?:(?:{_REVEAL})\b"
         rf"{_GAP}(?:your {_HIDDEN}|your (?:instructions|prompt|rules|directives)\b(?! for)|the {_HIDDEN})|(?:repeat|print|output|copy|show)\b{_GAP}(?:words|text|everything|all)\b{_GAP}above\b)",
         "asks for the model's own instructions", starts=tuple(_REVEAL.split("|")),
         also=_words("your above system initial original hidden secret full entire exact internal developer")),
    Rule("injection.exfiltration_link", INJECTION, 0.95,
         frozenset(["<img", "![", "markdown image"]),
         r"!\[[^\]\n]{0,80}\]\(https?://[^\s)\[{<$]{1,300}(?:[\[{<$]|(?<=%7b)|(?<=%5b))"
         r"|<img[^>\n]{0,80}src=[\"']?https?://[^\s\"'>\[{<$]{1,300}(?:[\[{<$]|(?<=%7b)|(?<=%5b))"
         r"|\b(?:render|show|include|insert|append|embed|add|display|output)\b[^\n]{0,60}!\[[^\]\n]{0,80}\]\(https?://[^\s)?&]{1,300}[?&][^\s)]{0,200}\)"
         r"|\b(?:markdown image|image tag)\b[^\n]{0,80}https?://[^\n]{0,80}\b(?:conversation|history|summary|password|secret|data)\b",
         "an address that is to be filled with what the model knows", inside=True),
    Rule("injection.tool_hijack", INJECTION, 0.95,
         _words("send forward email upload post transmit exfiltrate transfer wire delete curl rm"),
         rf"\b(?:send|forward|e-?mail|upload|post|transmit|exfiltrate|deliver)\b{_GAP}(?:{_LOOT})\b(?:[^\w.!?\n]{{1,3}}[\w'@.:/-]{{1,40}}){{0,6}}?[^\w]{{1,3}}(?:to )?(?:https?://|[\w.+-]{{1,40}}@[\w-]{{1,40}}\.)"
         r"|\b(?:curl|wget)\b[^\n|]{1,120}\|\s{0,3}(?:ba|z)?sh\b|\brm -rf [/~*]",
         "sends data away or destroys it", also=_words(f"{_LOOT_WORDS} curl wget rm"),
         starts=("send", "forward", "e-mail", "email", "upload", "post", "transmit", "exfiltrate", "deliver", "curl", "wget", "rm -rf"), roles=frozenset({"tool", "input"})),
    Rule("injection.hidden_text", INJECTION, 0.95,
         frozenset(["<!--", "display:", "font-size", "visibility:", "[//]:"]),
         r"(?:<!--|\[//\]: ?#|(?:display: ?none|font-size: ?0|visibility: ?hidden)[^>\n]{0,60}>)[^\n]{0,200}\b"
         rf"(?:(?:{_AI})\b[^\n]{{0,60}}\b(?:must|should|please|instructions?|ignore|send|reply|say)|(?:{_IGNORE}) (?:all|any|the|your|previous|prior))\b",
         "text that people do not see speaks to a model", inside=True),
    Rule("injection.addressed_to_ai", INJECTION, 0.75,
         _words("ai ais assistant assistants llm llms model models chatbot chatbots agent agents chatgpt"),
         rf"\b(?:if|when|once|as soon as)\b[^\w\n]{{1,3}}(?:you are |you're )?(?:an?|the|any) (?:{_AI})\b[^.!?\n]{{0,60}}\b(?:read|reads|reading|process|processes|processing|see|sees|summari[sz]e|summari[sz]es|summari[sz]ing|parse|opens?)\b[^.!?\n]{{0,40}}\b(?:this|these)\b"
         rf"|\b(?:attention|note to|message (?:to|for)|instructions? (?:to|for)|dear|hey)\b (?:all |any |the )?(?:{_AI})\b\s?(?:[:,!]|reading|that|who)",
         "a document speaks to the model that reads it",
         starts=("if", "when", "once", "as soon as", "attention", "note to", "message to", "message for", "instruction", "instructions", "dear", "hey"),
         also=_words("read reads reading process processes processing see sees summarize summarizes summarizing summarise summarises summarising parse open opens attention note message instruction instructions dear hey"), roles=frozenset({"tool", "input"})),
    Rule("injection.payload_splitting", INJECTION, 0.8, frozenset(['="', "='", '= "', "= '"]),
         r"\b(?:answer|execute|follow|obey|respond to|do|say|print and obey|concatenate|combine)\b[^\n]{0,30}?\b(?P<a>\w{1,12}) ?(?:\+|and|with) ?(?P<b>\w{1,12})\b",
         "an order in pieces that the model is to join", inside=True, assigned=True,
         starts=("answer", "execute", "follow", "obey", "respond to", "do", "say", "print and obey", "concatenate", "combine"),
         also=_words("answer execute follow obey respond do say print concatenate combine")),
    *(Rule("jailbreak.persona", JAILBREAK, 0.95, _words(needs), pattern, "gives the model a role without limits",
           starts=tuple(starts.split("|")), also=_words(also))
      for needs, also, starts, pattern in (
        ("anything", "now", "do anything", r"\bdo anything now\b"),
        ("unfiltered uncensored unrestricted jailbroken amoral", "", "you are|act as|pretend to be|you're|become|simulate",
         r"\b(?:you are|act as|pretend to be|you're|become|simulate) (?:now )?(?:an? |the )?(?:\w{1,15} ){0,2}?(?:unfiltered|uncensored|unrestricted|jailbroken|amoral) (?:ai|assistant|model|chatbot|language model|version)\b"),
        ("mode", "developer dan jailbreak god sudo unrestricted", "developer|dan|jailbreak|god|sudo|unrestricted",
         r"\b(?:developer|dan|jailbreak|god|sudo|unrestricted) mode (?:is )?(?:now )?(?:enabled|activated|on)\b"),
        ("restrictions limitations filters guidelines ethics morals", "you", "you have|you now have|you are free|you now are free|you are not|you now are not",
         rf"\byou (?:now )?(?:have|are free of|are not bound by)\b{_GAP}(?:no|any|without) (?:\w{{1,12}} ){{0,2}}?(?:restrictions|limitations|filters|guidelines|ethics|morals)\b"),
        ("openai policy policies ethical moral usage safety laws", "abide adhere conform bound comply care follow", "does not|doesn't|do not|don't|need not|not required to|no longer|never",
         r"\b(?:does not|doesn't|do not|don't|need not|not required to|no longer|never) (?:have to |need to )?(?:abide|adhere|conform|be bound|comply|care about|follow)\b[^.!?\n]{0,60}\b(?:openai|content polic|ethical guidelines|moral guidelines|usage polic|safety guidelines|laws or)"),
        ("confines shackles chains restrictions limitations restraints policy policies rules", "broken break breaks free freed liberated", "broken|break|breaks|free|freed|liberated",
         r"\b(?:broken|break|breaks|freed?|liberated) (?:free )?(?:from|of) [^.!?\n]{0,30}\b(?:confines|shackles|chains|restrictions|limitations|restraints|content polic|rules (?:set|imposed))"),
        ("moral ethical legal content ethics morals", "without no zero lack lacks devoid free bound", "without|no|zero|lack|lacks|devoid of|free of|not bound by",
         r"\b(?:without|no|zero|lacks?|devoid of|free of|not bound by) (?:any )?(?:\w{1,12} (?:or|and) )?(?:moral|ethical|legal|content|ethics|morals)\b (?:or \w{1,12} )?(?:restrictions?|limits?|limitations?|boundaries|guidelines|compass|constraints|filters?|polic(?:y|ies)|principles|code)\b[^.!?\n]{0,80}\b(?:answer|respond|reply|say|says|does|do|generate|comply|ai|chatbot|assistant)\b"),
        ("refuse refuses decline declines reject rejects", "you it he she model assistant ai bot character dan", "you|it|he|she|model|assistant|ai|bot|character|dan|\"dan",
         r"\b(?:you|it|he|she|model|assistant|ai|bot|character|\"?dan\"?) (?:\w{1,12} ){0,2}?(?:never|can ?not|can't|will not|won't|must not) (?:refuse|decline|reject)s? (?:any|a|to answer|my|the user)\b"),
      )),
    Rule("jailbreak.two_answers", JAILBREAK, 0.97, _words("two 2 both twice double dual"),
         r"\b(?:two|2|both|twice|double|dual)\b(?=[^.!?\n]{0,40}\b(?:answers?|responses?|replies|ways|personas|outputs?|paragraphs|messages|entities|styles)\b)"
         r"(?=[^\n]{0,240}\b(?:as|chatgpt|gpt|normal(?:ly)?|standard|regular|usual|classic)\b)[^\n]{0,360}?\b(?:other|second|jailbroken|unfiltered|opposite|free|without|jailbreak|any)\b",
         "asks for the model's answer and another's without its rules", starts=("two", "2", "both", "twice", "double", "dual"),
         also=_words("chatgpt gpt jailbroken unfiltered opposite jailbreak prompt prompts personas chatbot ai")),
    Rule("jailbreak.two_answers", JAILBREAK, 0.97, _words("gpt chatgpt classic normal"),
         r"(?:gpt|chatgpt|classic|normal)\]? ?: ?[\[(\"][^\n\])\"]{3,120}[\])\"][^\w]{1,8}\w[\w .]{1,18}\]? ?: ?[\[(\"]",
         "the same by a form to fill in", starts=("gpt", "chatgpt", "classic", "normal")),
    Rule("jailbreak.no_refusal", JAILBREAK, 0.95, _words("never don't do cannot can't must won't will not without"),
         r"\b(?:never|don't|do not|cannot|can't|must not|won't|will not|not allowed to|without) (?:ever )?(?:say|saying|state|stating|mention|mentioning|reply with|respond with|use|tell me|claim|claiming|write)\b[^.!?\n]{0,60}"
         r"(?:\bi(?: a|')m sorry|\bi (?:can't|cannot|can not|am unable)|\bas an ai\b|\bas a language model|\bi apologi[sz]e|\bit(?:'s| is) (?:not |un|in)(?:appropriate|ethical|illegal)"
         r"|\bthat (?:you|it|they|he|she) (?:can't|cannot|can not|are unable|is unable|are an ai|aren't able)|\bagainst (?:the|your|openai|my|its) )",
         "forbids the words of a refusal", starts=("never", "don't", "do not", "cannot", "can't", "must not", "won't", "will not", "not allowed to", "without"),
         also=_words("sorry apologize apologise ai inappropriate unethical illegal unable openai")),
    Rule("jailbreak.no_refusal", JAILBREAK, 0.97,
         _words("answer answers answering respond responds comply complies reply replies provide provides obey follow execute generate fulfil fulfill complete"),
         r"\b(?:(?:answer|respond to|reply to|fulfil|fulfill|comply with|obey|follow|execute|generate|do|complete)s? (?:to )?(?:any|every|all|whatever)(?: of)?(?: the| my| user| user's)? ?(?:\w{1,12} )?(?:questions?|requests?|prompts?|commands?|orders?|content|tasks?|instructions?|i (?:say|ask|tell))\b"
         r"[^.!?\n]{0,80}\b(?:without|no matter|regardless|even if|never refus|unconditional|including|illegal|immoral|unethical|no exceptions?|restriction|despite|whatsoever)"
         r"|(?:answer|respond|comply|reply)\b[^.!?\n]{0,60}\b(?:no matter (?:what|how)|regardless of|even if|without (?:any )?(?:refus|hesitation|restrict|filter|moral|warning|censor|judg|limit)|unconditionally))",
         "wants an answer to whatever is asked", starts=("answer", "respond", "comply", "reply", "provide", "obey", "follow", "execute", "generate", "fulfil", "complete"),
         also=_words("without no regardless even never unconditionally including illegal immoral unethical restriction restrictions despite whatsoever")),
    Rule("jailbreak.in_character", JAILBREAK, 0.97, _words("character"),
         r"\b(?:stay|stays|remain|break|breaks|breaking|keep) (?:in )?character\b[^\n]{0,300}\b(?:refuse|restrict|polic(?:y|ies)|censor|illegal|unethical|immoral|filter|jailbreak|openai|uncensored|unfiltered|limits|no matter|tokens)",
         "must not leave a role that has no rules", starts=("stay", "remain", "break", "keep")),
    Rule("jailbreak.opposite", JAILBREAK, 0.97, _words("opposite contrary antithesis twin version alter"),
         r"\b(?:opposite|contrary|antithesis|evil (?:twin|version)|unfiltered version|alter ego|jailbroken version) (?:of|to) (?:chatgpt|chat gpt|gpt|openai|an? (?:\w{1,12} ){0,2}ai\b|ai (?:language )?models?|(?:ai |language )?model|assistant|chatbot)",
         "a role that is the model's contrary", starts=("opposite", "contrary", "antithesis", "evil twin", "evil version", "unfiltered version", "alter ego", "jailbroken version"),
         also=_words("chatgpt chat gpt openai ai model models assistant chatbot")),
    Rule("jailbreak.against_policy", JAILBREAK, 0.97, _words("openai openai's content usage moderation"),
         r"\b(?:(?:no matter|regardless of|without (?:regard (?:to|for)|caring about|considering)|not bound by|unbound by|exempt from) (?:\w{1,8} ){0,3}?|(?:disregard|ignor|bypass|overrid|break|violat)\w{0,3} (?:\w{1,8} ){0,2}?)"
         r"(?:openai(?:'s)?(?: \w{1,12}){0,2}? (?:polic(?:y|ies)|guidelines|rules|terms|restrictions|limitations|filters?|guardrails)|(?:content|usage|moderation) (?:polic(?:y|ies)|guidelines|filters?|restrictions))",
         "speaks of breaking the provider's policies", starts=("no matter", "regardless", "without", "not bound by", "unbound by", "exempt from", "disregard", "disregarding", "ignore", "ignoring", "bypass", "bypassing",
                 "override", "overriding", "break", "breaking", "violate", "violating"),
         also=_words("policy policies guidelines rules terms restrictions limitations filter filters guardrails")),
    Rule("jailbreak.anything_goes", JAILBREAK, 0.97, _words("even no regardless whether"),
         r"\b(?:even if|no matter (?:how|if|what)|regardless (?:of )?(?:how|if|whether|what)?|whether or not) ?[^.!?\n]{0,60}\b(?:illegal|unethical|immoral|harmful|offensive|dangerous|inappropriate|explicit|controversial)\b",
         "wants it although it is wrong", starts=("even if", "no matter", "regardless", "whether or not"),
         also=_words("illegal unethical immoral harmful offensive dangerous inappropriate explicit controversial")),
    Rule("jailbreak.disclaimer", JAILBREAK, 0.95, _words("used implemented applied carried executed use"),
         r"\b(?:not|never|won't) (?:actually |be |to be |intended |meant |ever ){0,3}(?:used|implemented|applied|carried out|executed|for use) (?:\w{1,12} ){0,4}?(?:malicious|harmful|illegal|real[- ]life|real[- ]world|in reality|any harm|unethical)",
         "promises that what it asks for will not be used", starts=("not", "never", "won't"),
         also=_words("malicious harmful illegal real reality harm unethical")),
    Rule("jailbreak.disclaimer", JAILBREAK, 0.95, _words("hypothetical fictional fiction academic educational research entertainment"),
         r"\b(?:purely|only|strictly|solely|just|merely) (?:for )?(?:\w{1,14} ){0,3}?(?:hypothetical|fictional|fiction|academic|educational|research|entertainment)\b[^.!?\n]{0,80}\b(?:never|not|won't) (?:be )?(?:\w{1,12} ){0,3}?(?:used|implemented|applied|intended|promote|encourage|endorse|carried|malicious|harm|illegal|real)",
         "the same by its purpose", starts=("purely", "only", "strictly", "solely", "just", "merely"), also=_words("never not won't")),
    Rule("injection.about_answer", INJECTION, 0.95, _words("your"),
         r"(?:(?<= in )|(?<= of )|(?<= to )|(?<= with )|(?<= throughout )|(?<= into )|(?<= after )|(?<= before )|(?<= under ))your (?:next |final |entire |whole |own |complete )?(?:response|answer|reply|output|summary|responses|answers|replies|summaries)\b",
         "a document says what the answer is to be like", starts=("your",),
         also=_words("response answer reply output summary responses answers replies summaries"), roles=frozenset({"tool", "input"})),
    Rule("injection.about_answer", INJECTION, 0.95, _words("your"),
         r"your (?:next |final |entire |whole |own |complete )?(?:response|answer|reply|output|summary|responses|answers|replies|summaries)\b",
         "the same with a verb that shapes it", starts=("your",), also=_words("response answer reply output summary responses answers replies summaries"), roles=frozenset({"tool", "input"}),
         led=rf"(?:[.!?\n|] {{0,2}}|\A)(?:{_SHAPE}) \Z|\b(?:use|apply|employ) (?:\w{{1,12}} ){{1,3}}(?:to|for|when) (?:display|encod|writ|format|encrypt)\w{{0,5}} \Z"),
    Rule("injection.about_answer", INJECTION, 0.97, _words("reply respond answer write"),
         r"(?:reply|respond|answer|write) (?:only |back |everything )?(?:in|using|with) (?:reverse|base ?\d\d|morse|emojis?|hex\w{0,7}|rot13|binary|pig latin|ciphers?|leetspeak|all caps|upper ?case|an? \w{1,14} (?:cipher|encoding|code)"
         r"|spanish|french|german|chinese|italian|latin)\b[^\n]{0,80}\Z",
         "a document ends with how to answer", starts=("reply", "respond", "answer", "write"), roles=frozenset({"tool", "input"}), led=r"(?:[.!?\n|] {0,2}|\A)\Z"),
    Rule("injection.about_answer", INJECTION, 0.97, _words("your"),
         r"your (?:response|answer|reply)\b,? (?:by (?:suggesting|recommending|promoting|advertising|hinting|inviting|encouraging)|(?:suggest|encourage|urge|invite|advise|recommend) (?:users|readers|people|them|everyone|customers|the user)"
         r"|to (?:highlight|hint|promote|advertise))\b",
         "has people told in the answer what to buy or do", starts=("your",), also=_words("response answer reply"), roles=frozenset({"user", "tool", "input"})),
    Rule("injection.code_insertion", INJECTION, 0.97, _words("code snippet script excerpt"),
         r"\b(?:add|insert|include|inclusion of|incorporate|integrate|embed|inject|employ|apply|use|make|utilize|implement|introduce)\b[^.!?\n]{0,30}\b(?:code|snippet|script|excerpt|code block)\b[^.!?\n]{0,60}\byour (?:\w{1,12} ){0,2}?(?:implementation|code|codebase|solution|answer|response|explanation|elucidation|project|program)\b",
         "a document has code to put into the answer", starts=("add", "insert", "include", "inclusion of", "incorporate", "integrate", "embed", "inject", "employ", "apply", "use", "make", "utilize", "implement", "introduce"),
         also=_words("your"), roles=frozenset({"tool", "input"})),
    Rule("injection.code_insertion", INJECTION, 0.97, _words("code snippet script excerpt"),
         r"(?:the |this |these |an? )?(?:following|subsequent|below|provided|accompanying|attached|succeeding|ensuing|forthcoming) (?:code|snippet|script|excerpt)\b[^.!?\n`]{0,60}\byour (?:\w{1,12} ){0,2}?(?:implementation|code|codebase|solution|answer|response|explanation|elucidation|project|program)\b",
         "the same with whatever verb", starts=("following", "subsequent", "below", "provided", "accompanying", "attached", "succeeding", "ensuing", "forthcoming"),
         also=_words("your"), roles=frozenset({"user", "tool", "input"}), led=rf"\b(?:{_PUT})\b[^.!?\n]{{0,25}}\Z|\byour [^.!?\n`]{{0,60}}\Z"),
    Rule("injection.code_insertion", INJECTION, 0.97, _words("code snippet script excerpt"),
         r"(?:the |this |these |an? )?(?:following|subsequent|below|provided|accompanying|attached|succeeding|ensuing|forthcoming) (?:code|snippet|script|excerpt)\b[^.!?\n`]{0,60}(?:\byour\b|:\s{0,3}```)",
         "a document has code put somewhere", starts=("following", "subsequent", "below", "provided", "accompanying", "attached", "succeeding", "ensuing", "forthcoming"),
         also=_words("your"), roles=frozenset({"tool", "input"}), led=rf"\b(?:{_PUT})\b[^.!?\n]{{0,25}}\Z|\byour [^.!?\n`]{{0,60}}\Z"),
    Rule("injection.harmful_code", INJECTION, 0.95, _words("fork rmtree nohup pyperclip win32clipboard getclipboarddata pynput imagegrab pyautogui pexpect"),
         r"os\.fork\(\)|shutil\.rmtree\([\"']/|os\.system\([^\n)]{0,40}nohup"
         r"|pexpect\.spawn\([\"']ssh -|(?:pyperclip|win32clipboard|getclipboarddata|pynput|imagegrab|pyautogui\.screenshot)[\s\S]{0,600}?(?:requests\.post|[\"'](?:scp|rsync|curl|ftp)[\"']|smtplib|sendmail|send_message)",
         "code that spies, sends away or destroys", starts=("os.fork", "shutil.rmtree", "os.system", "pexpect.spawn", "pyperclip", "win32clipboard", "getclipboarddata", "pynput", "imagegrab", "pyautogui"),
         roles=frozenset({"user", "tool", "input"})),
    Rule("jailbreak.persona", JAILBREAK, 0.95, _words(_UNBOUND.replace("|", " ")),
         rf"\b(?:{_UNBOUND})\b,? (?:and |but )?(?:\w{{1,12}},? ){{0,3}}?(?:language model|chat ?bot|ai|llm|assistant|gpt\w{{0,8}}|artificial intelligence)\b",
         "the same, in whatever sentence", starts=tuple(_UNBOUND.split("|")),
         also=_words("ai chatbot bot llm assistant model gpt gpt-4 gpt4 artificial")),
    Rule("jailbreak.persona", JAILBREAK, 0.97,
         _words("restricciones censura filtros filtro límites restrictions restriction filtres filtre limites censure einschränkungen filter grenzen zensur uneingeschränkt "
                "restrizioni filtri limiti restrições beperkingen filters censuur ograniczeń filtrów cenzury ограничений фильтров цензуры"),
         r"\b(?:sin (?:restricciones|filtros?|límites|censura)|sans (?:aucune restriction|restrictions?|filtres?|limites|censure)|ohne (?:einschränkungen|filter|grenzen|zensur)|uneingeschränkt"
         r"|senza (?:restrizioni|filtri|limiti|censura)|sem (?:restrições|filtros?|limites|censura)|zonder (?:beperkingen|filters?|censuur)|bez (?:ograniczeń|filtrów|cenzury)|без (?:ограничений|фильтров|цензуры))\b",
         "the same in other languages", starts=("sin", "sans", "ohne", "uneingeschränkt", "senza", "sem", "zonder", "bez", "без"),
         also=_words("responde responder responderás responda responderá contesta contestar modo ia réponds réponde répondre repondre répondez répond antworte antwortest beantworte "
                     "antworten richtlinien ki rispondi rispondere risponderai respondas odpowiadaj odpowiedz beantwoord antwoord отвечай ответь отвечать ии")),
    Rule("jailbreak.switched_off", JAILBREAK, 0.97,
         _words("allowrefusals allowrefusal allowdisclaimer allowdisclaimers allowapologies refusal refusals disclaimer disclaimers apologies apology safe safety safemode "
                "filter filters filtering contentfilter ethic ethics moderation censorship guardrails restrictions alignment"),
         r"\b(?:allow_?(?:refusals?|disclaimers?|apolog(?:y|ies))|safe_?mode|safety(?:[_ ]?(?:filters?|mode|checks?|protocols?))?|content[_ ]?filter(?:s|ing)?|ethics?|moderation|censorship|guardrails|restrictions|alignment|refusals?|disclaimers?)"
         r"[\"']?\s?(?:=|:|->)\s?[\"'\[]?(?:false|off|none|disabled?|0\b|null|removed|bypassed|no\b|zero)",
         "a setting that takes the model's rules away", parts=True, also=_words("false off none disabled disable 0 null removed bypassed no zero"),
         starts=("allowrefus", "allow_refus", "allowdiscl", "allow_discl", "allowapol", "allow_apol", "safe", "content_filter", "content filter", "contentfilter", "ethic", "moderation",
                 "censorship", "guardrails", "restrictions", "alignment", "refusal", "disclaimer")),
    Rule("jailbreak.two_answers", JAILBREAK, 0.97, _words("respond responds answer answers reply"),
         r"\b(?:respond|answer|reply)s? to (?:every|all|any|each) (?:prompt|question|request|message|query|instruction)s?\b[^.!?\n]{0,80}\b(?:unfiltered|unlimited|two|both|moraliz\w{1,4}|uncensored|regardless|no matter)"
         r"|\b(?:respond|answer|reply)\b[^.!?\n]{0,60}\b(?:two|2|both) (?:\w{1,10} ){0,2}(?:manners|personalities|voices)|\b(?:respond|answer|reply)(?: \w{1,12}){0,3} normally\b[^\n]{0,80}\bthen\b",
         "wants two voices to whatever is asked", starts=("respond", "responds", "answer", "answers", "reply")),
    Rule("jailbreak.anything_goes", JAILBREAK, 0.97, _words("regard regardless concern respect consideration irrespective care thought"),
         r"\b(?:without|no|zero|lacks?)(?: \w{1,10}){0,2} (?:concern|regard|respect|consideration|care|thought) (?:for|to|of|about) (?:\w{1,12} ){0,2}?(?:legal\w{0,6}|ethic\w{0,3}|moral\w{0,4}|social norms|harm\w{0,3}|polic\w{1,3}|laws?|consequences|safety|political)\b"
         r"|\birrespective of (?:how|whether|any)\b[^.!?\n]{0,50}\b(?:immoral|unethical|illegal|harmful|ethic\w{0,3}|moral\w{0,4})\b",
         "the same without regard for anything", starts=("without", "no", "zero", "lack", "lacks", "irrespective")),
    Rule("jailbreak.disclaimer", JAILBREAK, 0.95,
         _words("educational academic informational research journalistic fictional hypothetical entertainment awareness theoretical satirical illustrative"),
         r"\b(?:purely|solely|strictly|only|just|merely|exclusively) (?:for )?(?:the )?(?:purposes? of )?(?:educational|academic|informational|research|journalistic|fictional|hypothetical|entertainment|awareness|theoretical|satirical|illustrative)\b",
         "the same around a dark word", starts=("purely", "solely", "strictly", "only", "just", "merely", "exclusively"), also=_words(_DARK), roles=frozenset({"user", "input"})),
    Rule("injection.prompt_extraction", INJECTION, 0.95,
         _words("configuration prompt prompts instructions message messages definitions schemas boundaries parameters logic guardrails window tokens description definition rules constraints preprompt"),
         r"(?:your|its own|the ai's) (?:\w{1,12}[ ,]{1,2}){0,3}?(?:configuration|system (?:prompt|instructions|message)s?|tool (?:definitions|configuration|schemas)|safety (?:boundaries|rules)|operational parameters"
         r"|filtering logic|guardrails|context window|prior tokens|role (?:description|definition)|behaviou?ral (?:rules|constraints)|pre-?prompt|hidden instructions|developer (?:message|instructions))\b",
         "asks for the model's own set-up", starts=("your", "its own", "the ai's"), also=_words("your its ai's"), roles=frozenset({"user", "input"}),
         led=rf"\b(?:{_REVEAL}|describe|export|list|explain|confirm|detail|walk me through|go over|quote|serialize|provide|echo)\b[^.!?\n]{{0,80}}\Z"),
    Rule("injection.override_foreign", INJECTION, 0.97,
         _words("richtlinien sicherheitsrichtlinien filter einschränkungen restrictions filtres précède restricciones filtros políticas anterior restrizioni filtri linee restrições"),
         r"(?:ignorier|vergiss|missachte|umgehe?)\w{0,4} (?:\w{1,12} ){0,3}(?:\w{0,12}richtlinien|filter|einschränkungen)"
         r"|(?:oublie|ignore|contourne)[zr]? (?:\w{1,12} ){0,3}(?:restrictions|filtres|tout ce qui précède)|(?:ignora|olvida|omite|evita)\w{0,2} (?:\w{1,12} ){0,3}(?:restricciones|filtros|políticas|todo lo anterior)"
         r"|(?:ignora|dimentica)\w{0,3} (?:\w{1,12} ){0,3}(?:restrizioni|filtri|linee guida)|(?:ignore|esqueça) (?:\w{1,12} ){0,3}(?:restrições|filtros|políticas)",
         "rules by their other names", parts=True, starts=("ignor", "vergiss", "missacht", "umgeh", "oublie", "contourne", "olvida", "omite", "evita", "dimentica", "esqueça")),
    Rule("injection.role_forging", INJECTION, 0.97, _words("sistema système systemhinweis systemnachricht anweisung anweisungen instrucciones nouvelles istruzioni instruções инструкции 指 지시"),
         r"(?:nota d(?:el|i|o) sistema|note (?:du )?système|systemhinweis|systemnachricht|neue anweisung(?:en)?|nuevas instrucciones|nouvelles instructions|nuove istruzioni|novas instruções|новые инструкции|新(?:的)?指令|新しい指示|새로운 지시)\s?[:：]",
         "a heading that announces new orders, in other languages", parts=True,
         starts=("nota d", "note ", "systemhinweis", "systemnachricht", "neue anweisung", "nuevas instr", "nouvelles instr", "nuove istr", "novas instr", "новые инстр", "新", "새로운"),
         roles=frozenset({"user", "tool", "input"})),
    Rule("injection.role_forging", INJECTION, 0.97, _words("instruction instructions directive directives order orders"),
         r"new (?:instruction|directive|order)s?\b\s?(?:[:*#\]]|--)", "a heading that announces new orders",
         starts=("new instruction", "new directive", "new order"), also=_words("new"), roles=frozenset({"user", "tool", "input"})),
    Rule("injection.prompt_extraction", INJECTION, 0.97, _words("提 指 プ 示 시스템 초기 système systemprompt systemaufforderung systemanweisung systemanweisungen invite sistema системный системные системную системного системные"),
         r"(?:告诉我|显示|输出|打印|列出|重复|透露|泄露).{0,10}(?:系统提示|提示词|系统指令|初始指令|你的指令|你的规则)|(?:システムプロンプト|初期指示).{0,8}(?:教え|表示|出力|見せ)|(?:시스템 프롬프트|초기 지시)\w{0,2} ?(?:\w{1,6} ){0,2}(?:알려|보여|출력)"
         r"|(?:zeig|verrat|nenn|gib|affich|révèl|montr|muestr|revel|mostra|dime|покаж|раскро|выведи)\w{0,5} (?:\w{1,10} ){0,3}"
         r"(?:system ?prompt|systemaufforderung|systemanweisung\w{0,2}|invite système|prompt système|prompt del sistema|instrucciones del sistema|prompt di sistema|prompt do sistema|системн\w{2,4} (?:промпт|инструкци))",
         "the same in other languages", parts=True,
         starts=("告诉我", "显示", "输出", "打印", "列出", "重复", "透露", "泄露", "システム", "初期", "시스템", "초기", "zeig", "verrat", "nenn", "gib", "affich", "révèl", "montr", "muestr", "revel", "mostra", "dime", "покаж", "раскро", "выведи"),
         roles=frozenset({"user", "tool", "input"})),
    Rule("injection.encoded_order", INJECTION, 0.97, _words("decode decrypt decipher unscramble"),
         r"\b(?:decode|decrypt|decipher|unscramble)\b[^.!?\n]{0,60}\b(?:and|then) (?:\w{1,10} )?(?:follow|execute|obey|perform|carry out|comply|do (?:exactly )?what|act on)\b",
         "wants what is hidden in a code to be obeyed", starts=("decode", "decrypt", "decipher", "unscramble")),
    Rule("injection.addressed_to_ai", INJECTION, 0.97, _words("reading processing parsing summarizing summarising"),
         r"\b(?:ai|ai assistant|assistant|llm|bot|chatbot|language model)s? (?:reading|processing|parsing|summari[sz]ing) this\b", "speaks to whatever reads it",
         starts=("ai", "assistant", "llm", "bot", "chatbot", "language model"), roles=frozenset({"user", "tool", "input"})),
    Rule("injection.tool_hijack", INJECTION, 0.97, _words("call calls"),
         r"\bcalls? (?:the )?(?:send|delete|http|post|exec|execute|transfer|forward|fetch|upload|grant|drop|share)_\w{1,20}(?: tool| function)? (?:on|with|to|for)\b",
         "a document orders a tool call", starts=("call", "calls"), roles=frozenset({"tool", "input"})),
    Rule("injection.about_answer", INJECTION, 0.97, _words("before after"),
         r"\b(?:before|after) (?:answering|replying|responding|summari[sz]ing|you (?:answer|reply|respond|summari[sz]e))\b[^.!?\n]{0,40}[,:]? (?:please )?(?:also )?(?:run|execute|call|send|forward|record|email|fetch|include|mention|delete)\b",
         "a document has something done before the answer", starts=("before", "after"), roles=frozenset({"tool", "input"})),
    Rule("injection.last_line", INJECTION, 0.95,
         _words("write draft compose create generate provide give suggest recommend list tell show help summarize summarise translate paraphrase rephrase break explain describe compare outline define "
                "calculate solve convert rewrite render what who where how why which"),
         r"[ \t]*(?:please |kindly |now |also )?"
         r"(?![^\n]*\b(?:i|we|my|our|us|me know|he|she|they|this|that|it|attached|below|above|following|monday|tuesday|wednesday|thursday|friday|tomorrow|today|asap|soon|feedback|deadline|instructions|steps|see)\b)"
         r"(?:(?:write|draft|compose|create|generate|provide|give|suggest|recommend|list|tell|show|help) (?:me |us )?(?:with )?(?:an?|the|some|\d{1,3}|\w{1,14}ings?|tips|ideas|how|to)\b[^\n]{3,140}"
         r"|(?:summari[sz]e|translate|paraphrase|rephrase|break down|explain|describe|compare|outline|define|calculate|solve|convert|rewrite|render) (?:the |an? |your |how |why |what |\w{1,14} )[^\n]{3,140}"
         r"|(?:what|who|where|how|why|which)(?:'s| is| are| do| does| did| was| were| \w{1,14} are| \w{1,14} is) [^\n]{3,140}\?)\Z",
         "a document ends with a task for an assistant", roles=frozenset({"tool", "input"}), ending=240),
    Rule("injection.about_answer", INJECTION, 0.97, _words("response answer reply summary message report responses answers replies summaries messages reports"),
         r"\b(?:every|each|all|any) (?:single |future |subsequent |following |further |one of your ){0,2}(?:response|answer|reply|summary|message|report|responses|answers|replies|summaries|messages|reports)\b(?: that| you| which| from| with| must| should| until| for| to|[.,:]|\Z)",
         "a document says what all answers are to have", starts=("every", "each", "all", "any"), also=_words("begin start end finish append include prefix repeat add must always ending starting"),
         roles=frozenset({"tool", "input"}), led=r"\b(?:begin|start|end|finish|append|include|included|prefix|repeat|add|ending|starting)\b[^.!?\n]{0,60} \Z"),
    Rule("injection.about_answer", INJECTION, 0.97, _words("instead"),
         r"\binstead of (?:answering|replying|responding|summari[sz]ing|(?:a|an|the|your) (?:normal |usual |real |regular |actual )?(?:answer|reply|response|summary))\b", "a document has something said instead of the answer",
         starts=("instead of",), roles=frozenset({"tool", "input"})),
    Rule("injection.mode", INJECTION, 0.97, _words("mode"),
         r"\byou(?: are|'re)(?: now| currently)? (?:operating |running |working |placed |switched )?(?:in|into) (?:a |the )?(?:developer|maintenance|debug|debugging|admin|administrator|root|god|sudo|unrestricted|jailbreak|diagnostic|override) mode\b(?! (?:of|in|on|for)\b)",
         "says that the model is in a mode without rules", starts=("you are", "you're"), also=_words("developer maintenance debug debugging admin administrator root god sudo unrestricted jailbreak diagnostic override"),
         roles=frozenset({"user", "tool", "input"})),
    Rule("injection.suspended", INJECTION, 0.97, _words("suspended lifted disabled waived void deactivated"),
         r"\b(?:rules|restrictions|safety (?:checks?|rules|protocols?|guidelines|filters?|measures)|guidelines|guardrails|content (?:filters?|polic(?:y|ies))|limitations)(?: are| is)?(?: now| temporarily| hereby| currently){0,2} (?:suspended|lifted|disabled|waived|void|deactivated)\b",
         "says that the model's rules are off", starts=("rules", "restrictions", "safety", "guidelines", "guardrails", "content", "limitations"),
         also=_words("you your ai assistant model normal"), roles=frozenset({"user", "tool", "input"})),
    Rule("injection.tool_hijack", INJECTION, 0.97, _words("send post http upload forward transfer share delete drop"),
         r"\b(?:call|use|invoke|run|execute) (?:the )?(?:send|post|http|upload|forward|transfer|share|delete|drop)_\w{1,20}(?: tool| function)?\b[^.!?\n]{0,40}\b(?:conversation|chat history|history|system prompt|api keys?|passwords?|credentials|secrets|all (?:user |customer )?data)\b",
         "orders a tool call that sends away what the model knows", starts=("call", "use", "invoke", "run", "execute"),
         also=_words("conversation history prompt key keys password passwords credentials secrets data"), roles=frozenset({"user", "input"})),
    Rule("injection.prompt_extraction", INJECTION, 0.97, _words("sistema système sistem"),
         r"\b(?:rivel|revel|révèl|dévoil|ripet|repit|repet|répèt|affich|montr|muestr|mostr|mostra|escrib|scriv|écri|traduc|copi)\w{0,4} (?:\w{1,12} ){0,3}(?:istruzioni (?:di|del) sistema|instructions (?:du |de )?système|instrucciones (?:de|del) sistema"
         r"|instruções (?:de|do) sistema|prompt (?:di|del|do|de) sistema)\b",
         "the same in other languages", parts=True, starts=("rivel", "revel", "révèl", "dévoil", "ripet", "repit", "repet", "répèt", "affich", "montr", "muestr", "mostr", "escrib", "scriv", "écri", "traduc", "copi"),
         roles=frozenset({"user", "tool", "input"})),
    Rule("jailbreak.template", JAILBREAK, 0.97, _words("harmful illegal malicious forbidden unethical harmful_topic harmful_request"),
         r"[\[{<](?:any )?(?:harmful|illegal|malicious|forbidden|unethical)[_ ](?:topic|request|query|question|prompt|task|activity|thing|content|goal|instruction)s?[\]}>]", "a form with a place for a harmful request", parts=True, starts=("[", "{", "<"), roles=frozenset({"user", "input"})),
    Rule("jailbreak.template", JAILBREAK, 0.97, _words("prompt question request query command"),
         r"[\[({<][\"']?\s?(?:(?:insert|put|enter|type|write|place)(?: \w{1,12}){0,3} (?:prompt|question|request|query|command)s?(?: goes)?(?: here)?|(?:\w{1,12} ){0,2}prompts?(?: goes)? here)[\"']?\s?[\])}>]",
         "a form with a place for what is asked, as jailbreaks are passed on", parts=True, starts=("[", "(", "{", "<"),
         also=_words("insert put enter type write place here"), roles=frozenset({"user", "input"})),
    Rule("jailbreak.persona", JAILBREAK, 0.97, _words("bound limited restricted controlled governed restrained confined"),
         r"\b(?:bound|limited|restricted|controlled|governed|restrained|confined) by (?:any |any of |the |its |their |such |your |chatgpt's )?(?:rules|morals?|morality|ethics|openai|chatgpt|ai (?:rules|polic)|polic(?:y|ies)|restrictions|filters|content polic|guidelines)\b",
         "a role that no rule binds", starts=("bound by", "limited by", "restricted by", "controlled by", "governed by", "restrained by", "confined by"),
         also=_words("chatgpt gpt ai openai pretend roleplay character persona act"), roles=frozenset({"user", "input"}),
         led=r"\b(?:not|never|isn't|aren't|no longer)(?: \w{1,10}){0,1} \Z"),
    Rule("jailbreak.persona", JAILBREAK, 0.97, _words("chatgpt gpt ai assistant assistants llm chatbot"),
         rf"\b(?:everything|anything|whatever) (?:that )?(?:{_AI})(?: or \w{{1,12}})? (?:can(?: ?not|'t)|could(?: not|n't)|will not|won't|is not (?:able|allowed)|refuses)",
         "a role that does what models must not", starts=("everything", "anything", "whatever"), roles=frozenset({"user", "input"})),
    Rule("jailbreak.no_refusal", JAILBREAK, 0.97, _words("answer answering respond responding comply fulfill fulfil"),
         r"\b(?:answer|answering|respond to|responding to|comply with|fulfill?) (?:any|every|all)\w{0,4} (?:questions?|prompts?|requests?|commands?|quer(?:y|ies)|instructions?)?[^.!?\n]{0,40}\b(?:despite|no matter what|unconditionally|uncensored"
         r"|without (?:hesitation|question|refus\w{1,4}|restriction|filter|judg\w{1,5}|limit))",
         "an answer whatever is asked", starts=("answer", "answering", "respond to", "responding to", "comply with", "fulfil"), roles=frozenset({"user", "input"})),
    Rule("jailbreak.harmful_act", JAILBREAK, 0.97, harm.THINGS, harm.MAKING.pattern, "wants help with what nobody is to be helped with",
         starts=harm.MAKING.starts, also=harm.WANTED, roles=frozenset({"user", "input"}), led=harm.SPARED),
    *(Rule("jailbreak.harmful_act", JAILBREAK, 0.95, acts.needs, acts.pattern, "wants to know exactly how a crime is done",
           starts=acts.starts, also=harm.DETAIL, roles=frozenset({"user", "input"}), led=harm.SPARED)
      for acts in harm.CRIMES),
    *(Rule("jailbreak.harmful_act", JAILBREAK, 0.97, acts.needs, acts.pattern, "asks how a crime is done",
           starts=acts.starts, roles=frozenset({"user", "input"}), led=harm.ASKED)
      for acts in harm.CRIMES),
)  # fmt: skip


class Heuristics:
    """The rules that are on."""

    def __init__(self, disabled: Collection[str] = ()) -> None:
        self.rules = tuple(rule for rule in RULES if rule.id not in disabled)
        self._anyhow = frozenset(place for place, rule in enumerate(self.rules) if rule.inside)
        named: dict[str, list[int]] = {}
        for place, rule in enumerate(self.rules):
            for word in () if rule.inside else rule.needs:
                named.setdefault(word, []).append(place)
        self._named = {word: tuple(places) for word, places in named.items()}
        self._signs = Signs(self.rules)

    def find(self, text: str, words: Set[str], role: str) -> Iterator[tuple[Rule, int, int]]:
        """Rule, start and end of each match in folded lower-case text. Linear in the text; never raises."""
        named = map(self._named.__getitem__, self._named.keys() & words)
        places: dict[str, list[int]] = self._signs.absent(text) if len(text) >= LONG else {}
        for place in sorted(self._anyhow.union(*named)):
            rule = self.rules[place]
            if (rule.roles and role not in rule.roles) or not rule.may_match(text, words, places):
                continue
            for start, end in islice(rule.matches(text, words, places), MOST_MATCHES):
                yield rule, start, end
