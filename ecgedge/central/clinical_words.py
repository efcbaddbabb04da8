"""Words of ECG reports, so that none of them is taken for somebody's name.

Stems, German and English, lower case: a word that begins with one is a word of the trade.
Names begin with some of them too (Block, Kammerer); therefore a title that can only stand
before a person ("Herr", "Dr.") does not ask here for the word right after it.
"""

from __future__ import annotations

import re
from functools import cache

from ecgedge.statements import statement_terms, statements

_FUNCTION = (
    "a an and are as at be been by can could for from has had have he her his if in into is it "
    "its may more no not now of on or our over she so some than that the their then there these "
    "they this those to under was we were which will with without would you your but also only "
    "very am auf aus bei beim bis das dass dem den der des die dies diese dieser doch durch ein "
    "eine einem einen einer eines er es für gegen hat hatte ich ihr im ist ja kein keine keinen "
    "mit nach nicht noch nun nur ob oder ohne sehr seit sich sie sind sonst über um und unter vom "
    "von vor war waren wegen weil wenn wie wird wurde zu zum zur zwischen"
)
_STEMS = (
    "normal wahrschein möglich moeglich bericht unbest ueber sinistro specific due atria myocard "
    "otherwise contract consist branch suggest unvollst vollst fibrill lesion path disease axel "
    "find enlarg likely probab respon rapid uncertain finding inversion verschob extrem displac "
    "exclude zone cause tiny delay schwierig compar upper limit elevat throughout schlecht "
    "present bigemin signific noted innenschicht fehl subendo subepi welle biphas terminal "
    "beschleun spike erkannt sicher evident repeat similar poster diskret verzög verzoeg partiell "
    "apparent funct criteri negativ normokard knoten obscur further uniform nature ant überhöht "
    "ersatz subakut deep indicat pattern leftward rightward clockwise counter degree gross "
    "abgeflacht mittel rotat general ruhe damage perikard pericard rather diffus unusual physio "
    "control appear increas decreas review i ii iii age trace transition definite request myokard "
    "mäss hochlat veraend cannot most min show fehlend klagt kommt wurde hatte lag liegt stellt "
    "berichtet aufgenommen entlassen schmerz dyspnoe complain admit discharg report seen known "
    "referred anamnes vorbekannt zustand medik therap telefon datum station klinik hospital ward "
    "name alter geschlecht größe gewicht rr puls temp technic quality qualität unruhe muskelzitt "
    "wechselstrom verwack tremor abgang ableit abnorm abweich achse akut allgemein alt alte "
    "altersent anter antero antiarrhythm aorta arrhythm arrythm artefa artifact assoc asymmet "
    "atri atyp auff aufnahme ausgepr ausschl av avf avl avr axis axe baseline beat befund "
    "belastung bek below beta beurteilung bi biatri bifasc block borderline brady breit brugada "
    "bundle bypass cardi cave change changes changing chest chron comp complex conduct consider "
    "coronar couplet completedeflect delta depress deutlich deviat diagnos digitalis digoxin dd "
    "diff discordan diskordan distur doubt dreh drug dual early ecg echo effekt effect ektop "
    "ectop ekg elektr electr elev end ent erhöh ergebnis erregung escape evid extens extrasyst "
    "fasc feststell flach flat flatter flimm flutter follow fragl freq frequen früh functional "
    "funktion fusion ger gering gesch grad grenz gut heart hebung hemi herz high hinterwand "
    "hinweis hoch hpl hyper hypert hypo hypoth idiov incomplete indeterm indiff infarct infarkt "
    "infer inkompl insuff interm interpr interval intrav invert ischä ischae ischem j junction "
    "jüng jähr jahr juvenil kammer kein klin klein knot komb kompl konk kontroll koronar kurv l "
    "lad lafb lage lagetyp lahb late later lbbb lead left leich leit leitung letzt limb link "
    "linkss linksty links lokal long low lpfb lsb männ male female man marked mäßig mehr memory "
    "mild minimal minor mit mitral mobitz moder mögl monitor mono multi muscle muskel myok myoc "
    "myopath nach narrow neg neu nieder niedrig node nodal non norm nsr old open or oth p paced "
    "pacemaker pacing patholog patient pause peri periph perm persist platz plaus poor pos possib "
    "post pq pr präex praeex premat previous prim primary prob progress prolong protok pulm pvc q "
    "qr qrs qs qt r r-verlust rad rand rate rbbb recent recht rechts reduc reentry regel regul "
    "regress reizleit repol repräs resp rest rhyth rhyt right rs rsr rsb rück s sa schenkel "
    "schlag schläg schmal schrittm schulter schwer segment seiten senk sept septal short sick "
    "sign sin sinus slight slow small sok sokolow spannung spitz spitze st standard status steil "
    "stell störung strain stumm sub supra suspect sv syndrom t t- tach tachy tall tawara tief tm "
    "tracing trif trigem twave typ u u- übergang überleit überschr überwieg unauff unchang "
    "undetermin unspez unspec unver upsl v v1 v2 v3 v4 v5 v6 v. variant ven ventr veränd verbreit "
    "verdacht verdr vergl verlän verlang verlauf verlust verspät verz vf voll voltage volt vorder "
    "vorhof vorlieg vt vorwand wahr wand wave weib wandern weit wellen wenckebach wide widespread "
    "wolff woman wpw young z zacke zeich zeigt zeit zunahme zunehm zust zusätz zyk"
)
_WHOLE_BELOW = 5  # a shorter stem is only taken as a whole word, with one of these endings
_ENDINGS = ("", "e", "em", "en", "er", "es", "n", "s", "ed")

_LETTERS = re.compile(r"[^\W\d_]{3,}")

FUNCTION_WORDS = frozenset(_FUNCTION.split())
_WHOLE = frozenset(
    stem + ending for stem in _STEMS.split() if len(stem) < _WHOLE_BELOW for ending in _ENDINGS
)
_BEGINNINGS = tuple(stem for stem in _STEMS.split() if len(stem) >= _WHOLE_BELOW)


def is_clinical(word: str) -> bool:
    """Whether a word, in any case of letters, belongs to a report's own language."""
    low = word.lower().strip(".-'’")
    return (
        low in FUNCTION_WORDS
        or low in _WHOLE
        or low.startswith(_BEGINNINGS)
        or low in _words_of_statements()
    )


@cache
def _words_of_statements() -> frozenset[str]:
    told = " ".join(map(statement_terms, statements()))
    return frozenset(_LETTERS.findall(told.lower()))
