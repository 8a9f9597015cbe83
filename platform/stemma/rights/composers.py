"""Composers so long dead that nobody's word closes their names to prompts.

Whoever owns a recording decides about the recording, not about the manner of a composer whose works are
everybody's.  The term is that of Article 1(1) of Directive 2006/116/EC: seventy years, counted from the first
of January after the death (Article 8).  A recording's title stays closed where its owner has refused it, and
so does what a custodian has closed.
"""

from __future__ import annotations

from typing import NamedTuple

from stemma.rights.prompting import folded

TERM = 70
"""Years after the year of death."""


class Composer(NamedTuple):
    """Somebody who has died, by every name under which catalogs know them."""

    names: tuple[str, ...]
    died: int
    """The year; where it is not known, the latest that it can have been."""

    def free(self, year: int) -> bool:
        """Whether the term is over in that year."""
        return year > self.died + TERM


def long_dead(names: set[str], year: int) -> set[str]:
    """Those of the names that are of composers whose term is over in that year."""
    free = {folded(name) for composer in COMPOSERS if composer.free(year) for name in composer.names}
    return {name for name in names if folded(name) in free}


_LISTED = """
Hildegard von Bingen, Hildegard of Bingen: 1179
Léonin: 1201
Pérotin: 1238
Guillaume de Machaut, Machaut: 1377
Francesco Landini, Landini: 1397
Gherardello da Firenze: 1363
Giovanni da Cascia, Giovanni da Firenze: 1400
Jacopo da Bologna: 1400
Bartolino da Padova: 1410
Niccolò da Perugia: 1420
Lorenzo da Firenze, Lorenzo Masini: 1373
Paolo da Firenze, Paolo Tenorista: 1440
Johannes Ciconia: 1412
Guillaume Dufay, Guillaume Du Fay: 1474
Johannes Ockeghem: 1497
Josquin des Prez, Josquin Desprez: 1521
Giovanni Pierluigi da Palestrina, Palestrina: 1594
Orlande de Lassus, Orlando di Lasso: 1594
Vicente Lusitano: 1570
Thomas Tallis: 1585
William Byrd: 1623
Thomas Morley: 1602
Thomas Weelkes: 1623
Orlando Gibbons: 1625
John Dowland: 1626
Luca Marenzio: 1599
Carlo Gesualdo: 1613
Giovanni Gabrieli: 1612
Claudio Monteverdi, Monteverdi: 1643
Heinrich Schütz: 1672
Michael Praetorius: 1621
Girolamo Frescobaldi: 1643
Barbara Strozzi: 1677
Jean-Baptiste Lully: 1687
Dieterich Buxtehude, Dietrich Buxtehude: 1707
Henry Purcell: 1695
Johann Pachelbel: 1706
Arcangelo Corelli: 1713
François Couperin: 1733
Turlough O'Carolan, Turlough Carolan, O'Carolan: 1738
Antonio Vivaldi: 1741
Jean-Philippe Rameau: 1764
Georg Philipp Telemann: 1767
Alessandro Scarlatti: 1725
Domenico Scarlatti: 1757
Tomaso Albinoni: 1751
Johann Sebastian Bach, J. S. Bach: 1750
Wilhelm Friedemann Bach: 1784
Carl Philipp Emanuel Bach, C. P. E. Bach: 1788
Johann Christian Bach, J. C. Bach: 1782
George Frideric Handel, Georg Friedrich Händel, G. F. Handel: 1759
Giovanni Battista Pergolesi: 1736
Christoph Willibald Gluck: 1787
Thomas Arne: 1778
Niel Gow: 1807
Nathaniel Gow: 1831
James Scott Skinner: 1927
Joseph Haydn, Franz Joseph Haydn: 1809
Michael Haydn: 1806
Luigi Boccherini: 1805
Muzio Clementi: 1832
Leopold Mozart: 1787
Wolfgang Amadeus Mozart, W. A. Mozart: 1791
Antonio Salieri: 1825
Ludwig van Beethoven, L. van Beethoven: 1827
Johann Nepomuk Hummel: 1837
Fernando Sor: 1839
Niccolò Paganini: 1840
Carl Maria von Weber: 1826
Carl Czerny: 1857
Gioachino Rossini: 1868
Franz Schubert: 1828
Gaetano Donizetti: 1848
Vincenzo Bellini: 1835
Hector Berlioz: 1869
Mikhail Glinka: 1857
Johann Strauss I, Johann Strauss (Vater): 1849
Johann Strauss II, Johann Strauss (Sohn): 1899
Fanny Hensel, Fanny Mendelssohn: 1847
Felix Mendelssohn, Felix Mendelssohn Bartholdy: 1847
Frédéric Chopin, Fryderyk Chopin: 1849
Robert Schumann: 1856
Clara Schumann, Clara Wieck: 1896
Franz Liszt: 1886
Richard Wagner: 1883
Giuseppe Verdi: 1901
Charles Gounod: 1893
Jacques Offenbach: 1880
César Franck: 1890
Stephen Foster: 1864
Bedřich Smetana: 1884
Anton Bruckner: 1896
Johannes Brahms: 1897
Alexander Borodin: 1887
Camille Saint-Saëns: 1921
Georges Bizet: 1875
Léo Delibes: 1891
Max Bruch: 1920
Modest Mussorgsky: 1881
Pyotr Ilyich Tchaikovsky, Peter Tchaikovsky, P. I. Tchaikovsky: 1893
Antonín Dvořák: 1904
Jules Massenet: 1912
Arthur Sullivan: 1900
Edvard Grieg: 1907
Nikolai Rimsky-Korsakov: 1908
Gabriel Fauré: 1924
Vincent d'Indy: 1931
Leoš Janáček: 1928
Engelbert Humperdinck: 1921
John Philip Sousa: 1932
Edward Elgar: 1934
Giacomo Puccini: 1924
Hugo Wolf: 1903
Gustav Mahler: 1911
Isaac Albéniz: 1909
Claude Debussy: 1918
Frederick Delius: 1934
Richard Strauss: 1949
Carl Nielsen: 1931
Jean Sibelius: 1957
Paul Dukas: 1935
Erik Satie: 1925
Enrique Granados: 1916
Amy Beach: 1944
Scott Joplin: 1917
Liliʻuokalani, Liliuokalani: 1917
Alexander Scriabin: 1915
Ralph Vaughan Williams: 1958
Sergei Rachmaninoff, Sergei Rachmaninov: 1943
Max Reger: 1916
Gustav Holst: 1934
Arnold Schoenberg, Arnold Schönberg: 1951
Charles Ives: 1954
J. Rosamond Johnson, John Rosamond Johnson: 1954
Maurice Ravel: 1937
Manuel de Falla: 1946
Béla Bartók: 1945
Ottorino Respighi: 1936
Karol Szymanowski: 1937
Anton Webern: 1945
Alban Berg: 1935
Sergei Prokofiev: 1953
Lili Boulanger: 1918
George Gershwin: 1937
Kurt Weill: 1950
"""
"""Names, the year of death behind them; who died later than the term allows comes in by the calendar."""


def _read(line: str) -> Composer:
    names, _, died = line.rpartition(":")
    return Composer(tuple(name.strip() for name in names.split(",")), int(died))


COMPOSERS = tuple(_read(line) for line in _LISTED.strip().splitlines())
