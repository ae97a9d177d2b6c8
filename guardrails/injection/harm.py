"""Words of harmful acts, in classes of our own: who makes what, and who does what to whom.

A verb of a class and an object of the same class, at most a few words apart, say more than either does alone, and
say it in texts of any source. Two classes of pairs: things that nobody is to be told to make, and acts that are crimes. What
stands before a pair may spare it (`SPARED`): "how do banks stop people who launder money" asks for no crime.
"""

# ruff: noqa: E501, SIM905 (an expression is read whole, words are read in a row)

from typing import NamedTuple

_SPARING = "prevent|preventing|avoid|avoiding|protect|defend|detect|detecting|identify|identifying|recogni[sz]e|spot|stop|against|fight|combat|report|punish"
"""What makes of a pair its contrary."""
_TALK = "about|on|regarding|concerning|over|like|and|or|which|together|synthetic|data|detection|test|tests"
"""Between verb and object: the object is what is spoken of, or belongs to something else."""


class Acts(NamedTuple):
    """Every verb goes with every object. Both are alternatives of an expression; verbs are words."""

    verbs: str
    objects: str
    things: frozenset[str] = frozenset()
    """Words of which each object has one, where they are rarer than the verbs; empty: the verbs are rare."""

    @property
    def starts(self) -> tuple[str, ...]:
        return tuple(self.verbs.split("|"))

    @property
    def needs(self) -> frozenset[str]:
        """Words of which each pair has one: the objects' own, or the first words of the verbs."""
        return self.things or frozenset(start.partition(" ")[0] for start in self.starts)

    @property
    def pattern(self) -> str:
        """One of the verbs, at most five words between within a sentence, one of the objects."""
        between = rf"[^\w.!?\n]{{1,3}}(?!(?:{_SPARING}|{_TALK})\b)[\w'-]{{1,20}}"
        return rf"\b(?:{self.verbs})\b(?:{between}){{0,5}}?[^\w.!?\n]{{1,3}}(?:{self.objects})\b"


_HATEFUL = "sexist|racist|antisemitic|anti-semitic|homophobic|hateful|xenophobic|defamatory|transphobic|islamophobic|misogynistic|libelous"
_PIECES = (
    r"e-?mails?|articles?|posts?|jokes?|poems?|speech|speeches|messages?|tweets?|songs?|manifestos?|letters?|essays?|blogs?|propaganda"
    r"|content|rants?|comments?|scripts?|memes?"
)
MAKING = Acts(
    "make|making|build|building|create|creating|construct|constructing|assemble|assembling|cook|cooking|synthesize|synthesizing|synthesise"
    "|produce|producing|manufacture|manufacturing|brew|brewing|design|designing|develop|developing|developed|write|writing"
    "|code|coding|program|programming|generate|generating|draft|drafting|compose|composing|deploy|deploying|detonate|detonating|plant|planting"
    "|weaponize|weaponizing|obtain|obtaining|acquire|acquiring|buy|buying|purchase|purchasing|sell|selling|smuggle|smuggling|spread|spreading"
    "|distribute|distributing|install|installing|launch|launching|implement|implementing|craft|crafting|set|setting|run|running"
    "|start|starting|hide|hiding|print|printing|grow|growing|extract|extracting|forge|forging",
    r"(?<!bath )(?<!glitter )(?<!smoke )(?<!cherry )(?<!jager )(?<!seed )(?<!photo )(?<!logic )(?:pipe |homemade |dirty |nail |car |fertili[sz]er |improvised )?(?:bombs?|explosives?|explosive devices?)|molotov cocktails?|napalm|thermite"
    r"|ricin|sarin|nerve (?:gas|agents?)|anthrax|mustard gas|nuclear (?:weapons?|bombs?|devices?)|(?:biological|chemical|bio)[- ]?weapons?"
    r"|ghost guns?|silencers?|untraceable (?:guns?|firearms?|weapons?)|meth|methamphetamine|crack cocaine|cocaine|heroin|fentanyl|lsd|mdma|ghb"
    r"|date rape drugs?|illegal (?:drugs?|substances?|weapons?|firearms?)|malware|ransomware|keyloggers?|spyware|trojans?|botnets?|rootkits?"
    r"|backdoors?|cryptojack\w{0,4}|ddos attacks?|phishing (?:e-?mails?|messages?|pages?|sites?|websites?|campaigns?|letters?|attacks?|links?|text)"
    r"|fake (?:ids?|identit(?:y|ies)|passports?|documents?|prescriptions?|licen[cs]es?|visas?|invoices?|reviews|news|profiles?|diplomas?)"
    r"|counterfeit \w{1,14}|(?:forged|fraudulent|falsified) (?:\w{1,12} )?(?:documents?|letters?|invoices?|che(?:ck|que)s?|passports?|prescriptions?|certificates?|ids?|e-?mails?|websites?|papers?|records?|reviews?)|(?:ponzi|pyramid) schemes?|scam (?:e-?mails?|messages?|letters?|calls?)"
    r"|lottery scams?|advance[- ]fee scams?|deepfakes?(?! detect)|child porn\w{0,8}|revenge porn"
    rf"|(?:{_HATEFUL}) (?:\w{{1,12}} ){{0,2}}?(?:{_PIECES})"
    r"|(?:suicide|bomb|death) threats?|(?:dis|mis)information campaigns?|propaganda (?:campaigns?|posters?|pieces?)|(?:human|sex) trafficking",
)
"""What is made, had or spread."""
THINGS = frozenset(
    "bomb bombs explosive explosives molotov napalm thermite ricin sarin nerve anthrax mustard nuclear biological chemical bioweapon bioweapons bio "
    "ghost silencer silencers untraceable meth methamphetamine crack cocaine heroin fentanyl lsd mdma ghb rape drug drugs substance substances weapon weapons firearm firearms malware ransomware "
    "keylogger keyloggers spyware trojan trojans botnet botnets rootkit rootkits backdoor backdoors cryptojack cryptojacker cryptojacking ddos "
    "phishing fake counterfeit forged fraudulent falsified ponzi pyramid scam lottery fee deepfake deepfakes porn pornography "
    "threat threats disinformation misinformation propaganda trafficking sexist racist antisemitic semitic homophobic hateful xenophobic defamatory "
    "transphobic islamophobic misogynistic libelous".split()
)
"""Words of which each of those things has one."""

_SOMEONE = (
    r"someone|somebody|people|(?:my|his|her|their|your) (?:\w{1,10} )?(?:wife|husband|boss|neighbou?r|ex|girlfriend|boyfriend|parents?|coworker|co-worker|roommate"
    r"|mother|father|partner|target|victims?)|victims?|president|politicians?|women|students?"
)
CRIMES = (
    Acts("crack|cracking|brute|bruteforce|guess|guessing", r"(?:someone|somebody|another person|people|a neighbou?r|my \w{1,12})'?s? (?:\w{1,12} )?(?:passwords?|wi-?fi|accounts?|pin)|passwords of"),
    Acts("hack|hacking|break into|breaking into|infiltrate|infiltrating",
         r"accounts?|passwords?|networks?|computers?|systems?|wi-?fi|phones?|databases?|webcams?|websites?|servers?|machines?|atms?|houses?|homes?|vaults?|infrastructure|grid"),
    Acts("steal|stealing|harvest|harvesting|swipe|shoplift|shoplifting",
         r"credentials|passwords?|identit(?:y|ies)|credit cards?|debit cards?|money|cars?|vehicles?|(?:sensitive|personal|confidential) (?:information|data)|stores?"
         r"|merchandise|funds|trade secrets|cash"),
    Acts("launder|laundering", "money|funds|cash|profits|proceeds"),
    Acts("clone|cloning|skim|skimming", r"(?:credit|debit|bank) cards?"),
    Acts("tamper|tampering|rig|rigging|manipulate|manipulating",
         r"voting machines?|elections?|votes?|slot machines?|ballots?|evidence|stock (?:prices?|market)|gambling machines?"),
    Acts("evade|evading|dodge|dodging|cheat|cheating", r"taxes(?! legally)|detection|police|law enforcement|arrest|authorities|prosecution|sanctions|customs"),
    Acts("abuse|abusing|groom|grooming|lure|luring|kidnap|kidnapping|rape|raping|torture|torturing|drug|drugging", r"child|children|kids?|minors?|girls?|teenagers?|animals?|women|an? (?:girl|boy|child|kid|woman)"),
    Acts("kill|killing|murder|murdering|poison|poisoning|assassinate|assassinating|strangle|kidnap|kidnapping|torture|torturing|abuse|abusing|stalk|stalking|blackmail"
         "|blackmailing|extort|extorting|dox|doxx|doxxing|doxing|bully|bullying|groom|grooming|drugging|lure|luring|rape|raping|defame|defaming|smear|smearing", _SOMEONE),
    Acts("bypass|bypassing|circumvent|circumventing|defeat|defeating|evade|evading",
         r"antivirus|security (?:systems?|measures|software)|alarm systems?|immigration|border|customs|paywalls?|background checks?|surveillance"
         r"|plagiarism|lie detectors?|drug tests?|age (?:checks?|verification)"),
    Acts("commit|committing|carry|carrying|perform|performing|execute|executing|conduct|conducting|plan|planning|engage|engaging|pull|pulling|get|getting",
         r"murder|fraud|identity theft|insider trading|tax evasion|bombings?|(?:mass|school) shootings?|robber(?:y|ies)|burglar(?:y|ies)|embezzlement|bribery"
         r"|arson|genocide|massacres?|terror\w{0,4} attacks?|terrorism|cyber ?attacks?|extortion|(?:insurance|wire|tax|credit card) fraud|hate crimes?|assassinations?"
         r"|kidnappings?|ddos attacks?",
         frozenset("murder fraud theft insider evasion bombing bombings shooting shootings robbery robberies burglary burglaries embezzlement bribery arson genocide massacre "
                   "massacres terror terrorist terrorism cyber cyberattack cyberattacks extortion hate assassination assassinations kidnapping kidnappings ddos".split())),
    Acts("incite|inciting|provoke|provoking|glorify|glorifying", r"violence|riots?|hatred|(?:lynch )?mobs?|panic|racism|terrorism|genocide|discrimination|unrest|suicide|self-harm"),
    Acts("bribe|bribing", r"officials?|politicians?|universit(?:y|ies)|professors?|judges?|officers?|police|employees?|executives?"),
    Acts("pirate|pirating|illegally", r"movies?|software|copyrighted|music|games?|books?"),
)  # fmt: skip
"""What is done."""

WANTED = frozenset(
    "step steps detail details detailed instructions guide tutorial manual script how outline explain describe write provide create draft generate "
    "list give tell develop methods techniques recipe plan strategy tactics".split()
)
"""Of which a text has one that wants something told or written."""
DETAIL = frozenset(
    "detailed step steps step-by-step instructions guide tutorial manual outline methods techniques tactics undetected detected detection caught".split()
)
"""Of which a text has one that wants to know exactly how, or without being found out."""


SPARED = (
    rf"\A(?![\s\S]*\b(?:{_SPARING}|wrong to|illegal to|dangerous to|(?:people|those|anyone|someone|gangs?) (?:who|that)|laws?|penalt\w{{1,4}}|sentences?|consequences"
    r"|victims of|they|awareness training|reporting|convicted of|charged with|accused of)\b[^.!?\n]{0,40}\Z)"
)
"""What leads to a pair that is meant: nothing that makes it its contrary shortly before, in the same sentence."""
ASKED = (
    SPARED
    + r"[\s\S]*\b(?:how (?:to|do i|can i|could i|would i|should i|do you|can you|might one|would you|could one|would one|does one)|(?:ways?|steps?|methods?|techniques?|tricks?|tactics|tips) (?:to|of|for|on)"
    r"|(?:instructions?|guide|tutorial|manual|plan|script|code|program|tool|recipe|advice|help(?: me)?|teach me|show me|i want|i need|i would like|i'd like) (?:to|for|on|that|which|of|will)"
    r"|process of|help me)(?: [\w'-]{1,14}){0,2}? \Z"
)
"""The same where a pair is asked for in so many words."""
